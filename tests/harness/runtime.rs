//! A runtime like that of the program: several threads with room for deep plans.

use std::future::Future;

/// Bytes of stack of one thread, as the program has them.
const STACK: usize = 16 << 20;

/// Runs a test.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(test)
}
