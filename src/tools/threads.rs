//! Threads, where the system gives some: where a limit on processes or memory (`ulimit -u`, `-v`)
//! leaves none, whoever wanted one does the work.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use super::limits;

/// With less address space than this, in bytes, each new thread's stacks may be the end of the process:
/// what the standard library does not get for them, it panics for.
const ROOM: u64 = 256 << 20;

/// Work that a thread does, or that was done.
pub(crate) enum Task<'scope, T> {
    /// It is on its way; `None` would be a thread without work.
    Running(ScopedJoinHandle<'scope, Option<T>>),
    /// There was no thread to be had.
    Done(T),
}

impl<T> Task<'_, T> {
    /// What came of it; an error where its thread panicked.
    pub(crate) fn join(self) -> thread::Result<T> {
        match self {
            Self::Running(thread) => thread.join()?.ok_or_else(|| Box::new("no work") as _),
            Self::Done(value) => Ok(value),
        }
    }
}

/// Does `work` in a thread of `scope`; here and now, where there is none to be had. So it must not
/// wait for what the caller does next: that is [`hand`]'s.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Task<'scope, T> {
    match hand(scope, work, |work| work()) {
        Ok(task) => task,
        Err(work) => Task::Done(work()),
    }
}

/// Hands `input` to a thread of `scope` that does `work` with it; gives it back where there is none
/// to be had.
pub(crate) fn hand<'scope, I: Send + 'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    input: I,
    work: impl FnOnce(I) -> T + Send + 'scope,
) -> Result<Task<'scope, T>, I> {
    if is_narrow() {
        return Err(input);
    }
    // Not with the closure, which is lost with a thread that does not start.
    let (sender, receiver) = sync_channel(1);
    let thread = Builder::new().spawn_scoped(scope, move || receiver.recv().ok().map(work));
    match thread {
        Ok(thread) => sender.send(input).map(|()| Task::Running(thread)).map_err(|lost| lost.0),
        Err(_) => Err(input),
    }
}

/// Whether there is too little address space for another thread.
fn is_narrow() -> bool {
    limits::memory().is_some_and(|bytes| bytes < ROOM)
}

/// Does `work` in a thread of its own, which ends by itself; gives it back where there is none to be
/// had.
pub(crate) fn detach<W: FnOnce() + Send + 'static>(name: &str, work: W) -> Result<(), W> {
    if is_narrow() {
        return Err(work);
    }
    let (sender, receiver) = sync_channel::<W>(1);
    let run = move || receiver.recv().into_iter().for_each(|work| work());
    match Builder::new().name(name.to_owned()).spawn(run) {
        Ok(_) => sender.send(work).map_err(|lost| lost.0),
        Err(_) => Err(work),
    }
}

/// Does `work` in as many threads as there are processors, at `most`, this one among them. Returns
/// what each gave.
pub(crate) fn together<T: Send>(most: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    let count = thread::available_parallelism().map_or(1, usize::from).min(most);
    thread::scope(|scope| {
        let others: Vec<_> =
            (1..count).map_while(|_| hand(scope, &work, |work| work()).ok()).collect();
        let mut all = vec![work()];
        for other in others {
            all.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    })
}

/// Does `work` with each of `items`, in as many threads as there are processors, at `most`. What came of
/// each, in the order of the items.
///
/// # Errors
/// The first one of `work`'s; nobody begins with another item then.
pub(crate) fn each<I: Sync, T: Send, E: Send>(
    most: usize,
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let queue = Queue::default();
    let is_over = AtomicBool::new(false);
    let some = || {
        let mut done = Vec::new();
        while !is_over.load(Ordering::Relaxed)
            && let Some((number, item)) = queue.take(items)
        {
            match work(item) {
                Ok(value) => done.push((number, value)),
                Err(error) => {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let done = together(most, some).into_iter().collect::<Result<Vec<_>, E>>()?;
    let mut done: Vec<(usize, T)> = done.into_iter().flatten().collect();
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, value)| value).collect())
}

/// Hands out numbers, and items by these, each to one of those who ask.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    next: AtomicUsize,
}

impl Queue {
    /// The next number, from 0.
    pub(crate) fn number(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The next of `items`, and its number; `None` where all are taken.
    pub(crate) fn take<'i, I>(&self, items: &'i [I]) -> Option<(usize, &'i I)> {
        let number = self.number();
        Some((number, items.get(number)?))
    }

    /// How often somebody asked.
    pub(crate) fn asked(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }
}

/// A number that nobody else in this process has got, for names.
pub(crate) fn unique_number() -> usize {
    static NUMBERS: Queue = Queue { next: AtomicUsize::new(0) };
    NUMBERS.number()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_item_is_worked_with_once_and_in_order_comes_back() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled = each(4, &items, |item| Ok::<_, ()>(2 * item)).unwrap();
        assert!(doubled.iter().copied().eq((0..1000).map(|item| 2 * item)));
        let count = AtomicUsize::new(0);
        let failing = |item: &usize| {
            count.fetch_add(1, Ordering::Relaxed);
            if *item == 3 { Err("three") } else { Ok(()) }
        };
        assert_eq!(each(1, &items, failing), Err("three"));
        assert_eq!(count.into_inner(), 4, "nobody goes on after an error");
        assert_eq!(each(4, &[], |_: &()| Err::<(), _>("none")), Ok(Vec::new()));
    }

    #[test]
    fn a_queue_gives_each_item_to_one() {
        let queue = Queue::default();
        let items = ["a", "b"];
        assert_eq!(queue.take(&items), Some((0, &"a")));
        assert_eq!(queue.asked(), 1);
        assert_eq!(queue.take(&items), Some((1, &"b")));
        assert_eq!(queue.take(&items), None);
        let numbers: BTreeSet<_> = together(4, unique_number).into_iter().collect();
        assert_eq!(numbers.len(), together(4, || ()).len());
    }

    #[test]
    fn work_is_done_once_and_what_came_of_it_comes_back() {
        let count = AtomicUsize::new(0);
        let all = together(3, || count.fetch_add(1, Ordering::Relaxed));
        assert_eq!(all.len(), count.into_inner());
        let sum = thread::scope(|scope| {
            let tasks: Vec<_> = (0..4).map(|number| spawn(scope, move || number)).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
        });
        assert_eq!(sum, 6);
        let (sender, receiver) = sync_channel(1);
        assert!(detach("test", move || sender.send(7).unwrap()).is_ok());
        assert_eq!(receiver.recv(), Ok(7));
    }

    #[test]
    fn a_panic_comes_back_as_an_error() {
        let outcome = thread::scope(|scope| {
            let panicking = || {
                if true {
                    resume_unwind(Box::new("quietly"));
                }
            };
            spawn(scope, panicking).join()
        });
        assert!(outcome.is_err());
    }
}
