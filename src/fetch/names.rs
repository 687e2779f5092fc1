//! Names of hosts to addresses, by the system's resolver: it blocks, so it works in a thread of its
//! own; where there is none to be had, all wait for it.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::tools::threads;

/// The resolver. The client's own panics where it gets no thread.
pub(super) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = Lookup::default();
        let theirs = answer.clone();
        let work = move || theirs.give(look_up(name.as_str()));
        if let Err(work) = threads::detach("name", work) {
            work();
        }
        Box::pin(poll_fn(move |context| answer.poll(context.waker())))
    }
}

fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    // The port is set by whoever asked.
    Ok((host, 0).to_socket_addrs()?.collect())
}

/// An answer that comes later.
#[derive(Clone, Default)]
struct Lookup(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    found: Option<io::Result<Vec<SocketAddr>>>,
    waker: Option<Waker>,
}

impl Lookup {
    fn give(&self, found: io::Result<Vec<SocketAddr>>) {
        let mut state = self.lock();
        state.found = Some(found);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<Addrs, Box<dyn std::error::Error + Send + Sync>>> {
        let mut state = self.lock();
        match state.found.take() {
            Some(Ok(addresses)) => Poll::Ready(Ok(Box::new(addresses.into_iter()))),
            Some(Err(error)) => Poll::Ready(Err(error.into())),
            None => {
                state.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
