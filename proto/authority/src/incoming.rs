//! The connections that come in: so many at a time, and no error of one ends the listening.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::warn;

/// Pause after an accept failed, as when the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepted connections.
pub(crate) struct Incoming {
    listener: TcpListener,
    places: Arc<Semaphore>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// Accepts from `listener`, at most `most` at a time; further ones are closed at once.
    pub(crate) fn new(listener: TcpListener, most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self {
            listener,
            places,
            pause: None,
        }
    }

    /// The places that are free.
    pub(crate) fn places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.places)
    }

    fn admit(&self, tcp: TcpStream, from: SocketAddr) -> Option<Connection> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            warn!(%from, "connection refused: there are too many");
            return None;
        };
        // Without it answers are slower, but right.
        let _ = tcp.set_nodelay(true);
        Some(Connection { tcp, _place: place })
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = self.pause.as_mut() {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((tcp, from)) => {
                    if let Some(connection) = self.admit(tcp, from) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Err(error) => {
                    warn!(%error, "accept failed");
                    self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
        }
    }
}

/// A connection, and the place that it takes until it is closed.
pub(crate) struct Connection {
    tcp: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.tcp.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Connections of `incoming` that are closed if nothing is said on them within `patience`: whoever keeps
/// quiet takes nobody's place for long.
pub(crate) fn prompt<S, C>(
    incoming: S,
    patience: Duration,
) -> impl Stream<Item = io::Result<Prompt<C>>>
where
    S: Stream<Item = io::Result<C>>,
{
    incoming.map(move |connection| connection.map(|stream| Prompt::new(stream, patience)))
}

/// A connection whose other side has to begin to speak.
pub(crate) struct Prompt<C> {
    stream: C,
    patience: Option<Pin<Box<Sleep>>>,
}

impl<C> Prompt<C> {
    fn new(stream: C, patience: Duration) -> Self {
        let patience = Some(Box::pin(tokio::time::sleep(patience)));
        Self { stream, patience }
    }
}

impl<C: Connected> Connected for Prompt<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Prompt<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.patience = None;
        }
        match &mut self.patience {
            Some(patience) if read.is_pending() => {
                ready!(patience.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => read,
        }
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Prompt<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_a_place_that_is_left_is_given_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let mut incoming = Incoming::new(listener, 1);
        let _first = TcpStream::connect(address).await.expect("connected");
        let held = incoming.next().await.expect("open").expect("accepted");
        let mut second = TcpStream::connect(address).await.expect("connected");
        let mut byte = [0];
        tokio::select! {
            read = second.read(&mut byte) => assert!(matches!(read, Ok(0) | Err(_))),
            _ = incoming.next() => panic!("there was no place"),
        }
        drop(held);
        let _third = TcpStream::connect(address).await.expect("connected");
        assert!(incoming.next().await.expect("open").is_ok());
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_not_listened_to_for_long() {
        let patience = Duration::from_millis(20);
        let (_silent, server) = tokio::io::duplex(16);
        let mut byte = [0];
        let heard = Prompt::new(server, patience).read(&mut byte).await;
        assert_eq!(heard.expect_err("silent").kind(), io::ErrorKind::TimedOut);
        let (mut slow, server) = tokio::io::duplex(16);
        let mut server = Prompt::new(server, patience);
        slow.write_all(b"a").await.expect("open");
        assert_eq!(server.read(&mut byte).await.expect("said"), 1);
        // Whoever has begun may take their time.
        let late = async {
            tokio::time::sleep(patience * 3).await;
            slow.write_all(b"b").await
        };
        let (read, written) = tokio::join!(server.read(&mut byte), late);
        written.expect("open");
        assert_eq!(read.expect("said"), 1);
    }
}
