use std::collections::BTreeMap;

use super::*;
use crate::report::Silent;

/// A layout in a fresh directory, removed at the end.
struct Place(Layout);

impl Place {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/tmp")
            .join(format!("{name}-{}", std::process::id()));
        let layout = Layout { root };
        let prefix = Prefix { layout, owners: Owners::default() };
        prefix.make_skeleton(&mut Vec::new()).unwrap();
        Self(prefix.layout)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.0.root);
    }
}

#[test]
fn a_copy_of_the_open_file_does_not_hold_the_lock() {
    let place = Place::new("copy");
    let prefix = Prefix::open(&place.0.root).unwrap();
    fs::create_dir(place.0.arch(Arch::X86_64)).unwrap();
    let lock = prefix.lock(false, &Silent::default()).unwrap();
    let Hold::Flock { file } = &lock.hold else { panic!("no flock") };
    let copy = file.try_clone().unwrap();
    drop(lock);
    prefix.lock(false, &Silent::default()).unwrap();
    drop(copy);
}

#[test]
fn without_flock_a_file_stands_in() {
    let place = Place::new("owner");
    let first = without_flock(&place.0, &Silent::default()).unwrap();
    assert!(matches!(first, Attempt::Taken(Hold::Owner)));
    let Attempt::Held(holder) = without_flock(&place.0, &Silent::default()).unwrap() else {
        panic!("two runs have the lock");
    };
    assert_eq!(holder, Holder::this());
    let hint = held(&place.0, &holder).hint().unwrap();
    assert!(hint.contains(".elsewhere/owner"), "{hint}");
}

#[test]
fn the_file_of_a_dead_run_is_no_trap() {
    let place = Place::new("dead");
    let dead = Holder { pid: 4_194_304, ..Holder::this() };
    fs::write(place.0.owner(), dead.line()).unwrap();
    let again = without_flock(&place.0, &Silent::default()).unwrap();
    assert!(matches!(again, Attempt::Again));
    let taken = without_flock(&place.0, &Silent::default()).unwrap();
    assert!(matches!(taken, Attempt::Taken(Hold::Owner)));
    assert_eq!(fs::read_dir(place.0.trash()).unwrap().count(), 0);
}

#[test]
fn the_file_of_another_machine_is_believed() {
    let place = Place::new("other");
    let other = Holder { pid: 4_194_304, host: "another".to_owned() };
    fs::write(place.0.owner(), other.line()).unwrap();
    let attempt = without_flock(&place.0, &Silent::default()).unwrap();
    assert!(matches!(attempt, Attempt::Held(holder) if holder == other));
}

#[test]
fn the_slower_of_two_thieves_puts_back_what_it_took() {
    let place = Place::new("thieves");
    let dead = Holder { pid: 4_194_304, ..Holder::this() };
    fs::write(place.0.owner(), Holder::this().line()).unwrap();
    take_away(&place.0, &dead);
    let mut file = File::open(place.0.owner()).unwrap();
    assert_eq!(Holder::read(&mut file), Holder::this());
}

#[test]
fn a_directory_that_was_put_in_the_prefixs_place_is_not_touched() {
    let place = Place::new("replaced");
    let prefix = Prefix::open(&place.0.root).unwrap();
    fs::create_dir(place.0.arch(Arch::X86_64)).unwrap();
    let locked = prefix.lock(false, &Silent::default()).unwrap();
    let staged = locked.stage(Arch::X86_64).unwrap();
    let away = place.0.root.with_extension("away");
    fs::rename(&place.0.root, &away).unwrap();
    // Where a link leads is no less somebody else's.
    let other = Place::new("other");
    fs::create_dir(other.0.arch(Arch::X86_64)).unwrap();
    std::os::unix::fs::symlink(&other.0.root, &place.0.root).unwrap();
    let before = names(&other.0.root);
    let refused = |result: Result<(), PrefixError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, PrefixError::Replaced { .. }), "{error}");
    };
    let generation = locked.generation(Arch::X86_64, 1);
    refused(locked.point_to(&generation));
    refused(locked.stage(Arch::X86_64).map(drop));
    refused(staged.commit().map(drop));
    refused(locked.discard(&generation));
    refused(locked.write_launchers(&BTreeMap::from([("a".to_owned(), "b".to_owned())])));
    refused(locked.remove_launchers(&[]));
    refused(locked.keep_program(Arch::X86_64, Path::new("/proc/self/exe"), |_| String::new()));
    refused(locked.set_pins(&BTreeMap::new()));
    refused(locked.take_members());
    drop(locked);
    assert_eq!(names(&other.0.root), before);
    fs::remove_file(&place.0.root).unwrap();
    fs::rename(&away, &place.0.root).unwrap();
}

/// Every name below `directory`, in order.
fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(self::names(&path));
        }
        names.push(path);
    }
    names.sort();
    names
}
