//! Large directories, and those with more entries than there may be mounts.

use std::fs;
use std::time::Instant;

use crate::Barn;

/// Seconds are printed, not judged: machines differ.
#[test]
fn a_directory_of_many_entries_is_shown_whole() {
    let barn = Barn::new("many");
    let many = barn.root().join("many");
    fs::create_dir(&many).unwrap();
    let mut made = 0;
    for count in [100, 1000, 10_000, 100_000] {
        (made..count)
            .for_each(|number| drop(fs::File::create(many.join(format!("f{number}"))).unwrap()));
        made = count;
        let started = Instant::now();
        let script = ": > /many/new; ls /many | wc -l; wc -l < /proc/self/mountinfo";
        let said = barn.prints(&["-w", "/many"], script);
        let numbers: Vec<usize> = said.lines().map(|line| line.trim().parse().unwrap()).collect();
        println!("{count} entries: {:?}, {} mounts", started.elapsed(), numbers[1]);
        assert_eq!(numbers[0], count + 1);
    }
}

#[test]
fn of_directories_each_takes_a_mount() {
    let barn = Barn::new("directories");
    for number in 0..500 {
        fs::create_dir_all(barn.root().join(format!("many/d{number}"))).unwrap();
    }
    let count = |words: &[&str]| -> usize {
        barn.prints(words, "wc -l < /proc/self/mountinfo").trim().parse().unwrap()
    };
    let (without, with) = (count(&[]), count(&["-w", "/many"]));
    // And what takes the directory's place, and the original aside.
    assert_eq!(with - without, 502);
}
