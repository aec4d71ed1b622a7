//! Files on a disk of this machine, of which little is read by the thread that asks for it.
//!
//! What the system has in memory is copied in less time than another thread takes to wake for it, and that one
//! to wake the first again. Reading a footer, a page index or a few pages takes several of such turns. Who reads
//! here are threads that plan and threads that run plans, which may be held up for as long as a disk takes; not
//! for as long as a server of files may take that does not answer.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::task::spawn_blocking;
use weft_plan::breathe;

/// Bytes that are copied in a fraction of a millisecond.
const LITTLE: u64 = 4 << 20;

/// Whether `file` is on a disk, or in the memory, of this machine.
#[cfg(target_os = "linux")]
pub(super) fn is_near(file: &FilePath) -> bool {
    /// What file systems without a server say that they are: ext2 to 4, XFS, Btrfs, F2FS, ZFS, tmpfs and the
    /// layers that containers have, which are made of such.
    const NEAR: [u32; 7] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0x0102_1994,
        0x794c_7630,
    ];
    let kind = rustix::fs::statfs(file).map(|of| u32::try_from(of.f_type));
    matches!(kind, Ok(Ok(kind)) if NEAR.contains(&kind))
}

/// Whether `file` is on a disk of this machine; nobody knows.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_near(_file: &FilePath) -> bool {
    false
}

/// The files of this machine and of others that it reads as its own.
#[derive(Debug, Default)]
pub(crate) struct NearFiles {
    all: LocalFileSystem,
    /// By folder.
    near: RwLock<HashMap<PathBuf, bool>>,
}

impl NearFiles {
    /// Where the file at `location` is, if it is near.
    async fn near(&self, location: &Path) -> Option<PathBuf> {
        let path = self.all.path_to_filesystem(location).ok()?;
        let folder = path.parent()?.to_owned();
        let near = match self.known(&folder) {
            Some(near) => near,
            None => {
                let asked = folder.clone();
                let near = spawn_blocking(move || is_near(&asked)).await.ok()?;
                let mut known = self.near.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(folder, near);
                near
            }
        };
        near.then_some(path)
    }

    fn known(&self, folder: &FilePath) -> Option<bool> {
        let known = self.near.read().unwrap_or_else(PoisonError::into_inner);
        known.get(folder).copied()
    }
}

impl fmt::Display for NearFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for NearFiles {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(wanted) = Wanted::of(&options)
            && let Some(path) = self.near(location).await
            && let Ok(found) = wanted.read(&path, location)
        {
            return Ok(found);
        }
        // Also where it went wrong, which is told in one way.
        self.all.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // A file may be read bit by bit, and none of them may hold a row that is looked for.
        breathe().await;
        let bytes = ranges
            .iter()
            .fold(0, |sum: u64, it| sum.saturating_add(length(it)));
        if bytes <= LITTLE
            && let Some(path) = self.near(location).await
            && let Ok(read) = File::open(path).and_then(|file| read(&file, ranges))
        {
            return Ok(read);
        }
        self.all.get_ranges(location, ranges).await
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.all.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.all.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.all.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.all.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.all.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.all.copy_opts(from, to, options).await
    }
}

/// What is read at once.
enum Wanted {
    /// How large a file is and when it was written.
    Head,
    /// Few of its bytes.
    Few(Range<u64>),
}

impl Wanted {
    fn of(options: &GetOptions) -> Option<Self> {
        let unconditional = options.if_match.is_none()
            && options.if_none_match.is_none()
            && options.if_modified_since.is_none()
            && options.if_unmodified_since.is_none()
            && options.version.is_none();
        match &options.range {
            _ if !unconditional => None,
            None if options.head => Some(Self::Head),
            Some(GetRange::Bounded(range)) if !options.head && length(range) <= LITTLE => {
                Some(Self::Few(range.clone()))
            }
            _ => None,
        }
    }

    fn read(self, path: &FilePath, location: &Path) -> io::Result<GetResult> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: metadata.modified()?.into(),
            size: metadata.len(),
            e_tag: None,
            version: None,
        };
        let (range, bytes) = match self {
            Self::Head => (0..meta.size, Vec::new()),
            Self::Few(range) => {
                let bytes = read(&file, std::slice::from_ref(&range))?;
                (range, bytes)
            }
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(bytes).map(Ok).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// All bytes of each of `ranges`.
#[cfg(unix)]
fn read(file: &File, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    use std::os::unix::fs::FileExt;
    let read = |range: &Range<u64>| {
        let length = usize::try_from(length(range)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    };
    ranges.iter().map(read).collect()
}

/// Nothing is near.
#[cfg(not(unix))]
fn read(_file: &File, _ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::ObjectStoreExt;

    use super::*;

    /// A file of these bytes, for as long as the folder is there, and what it is called in a store.
    fn file(bytes: &[u8]) -> (tempfile::TempDir, Path) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.bin");
        std::fs::write(&file, bytes).expect("written");
        let path = Path::from_absolute_path(file).expect("a path");
        (folder, path)
    }

    #[tokio::test]
    async fn it_reads_what_the_system_reads() {
        let bytes: Vec<u8> = (0..2 * LITTLE).map(|at| (at % 251) as u8).collect();
        let (_folder, path) = file(&bytes);
        let (near, all) = (NearFiles::default(), LocalFileSystem::new());
        let of = |meta: ObjectMeta| (meta.location, meta.size, meta.last_modified);
        let head = of(near.head(&path).await.expect("there"));
        assert_eq!(head, of(all.head(&path).await.expect("there")));
        assert_eq!(head.1, 2 * LITTLE);
        // The last ends behind the file.
        for range in [3..4, 0..LITTLE, 0..2 * LITTLE, LITTLE..2 * LITTLE + 9] {
            let read = near.get_range(&path, range.clone()).await.expect("read");
            let other = all.get_range(&path, range.clone()).await.expect("read");
            assert_eq!(read, other, "{range:?}");
        }
        for ranges in [vec![], vec![7..9, 1..2], vec![0..LITTLE, 5..6]] {
            let read = near.get_ranges(&path, &ranges).await.expect("read");
            let other = all.get_ranges(&path, &ranges).await.expect("read");
            assert_eq!(read, other, "{ranges:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_as_ever() {
        let (folder, path) = file(b"abc");
        let near = NearFiles::default();
        let (all, there) = (LocalFileSystem::new(), near.head(&path).await);
        assert!(there.is_ok());
        let same = |a: Result<Bytes>, b: Result<Bytes>| {
            assert_eq!(
                a.expect_err("none").to_string(),
                b.expect_err("none").to_string()
            );
        };
        same(
            near.get_range(&path, 5..9).await,
            all.get_range(&path, 5..9).await,
        );
        let folder = Path::from_absolute_path(folder.path()).expect("a path");
        assert!(near.head(&folder).await.is_err());
        let gone = folder.clone().join("b.bin");
        same(
            near.get_range(&gone, 0..1).await,
            all.get_range(&gone, 0..1).await,
        );
        let found = near.get_ranges(&gone, std::slice::from_ref(&(0..1))).await;
        assert!(matches!(
            found,
            Err(datafusion::object_store::Error::NotFound { .. })
        ));
    }

    #[test]
    fn files_in_the_memory_of_this_machine_are_near_and_what_is_no_file_system_of_disks_is_not() {
        assert!(is_near(FilePath::new("/dev/shm")));
        assert!(!is_near(FilePath::new("/proc/self")));
        assert!(!is_near(FilePath::new("/not/there")));
    }
}
