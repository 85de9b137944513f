use tributary_model::time::DAY;

use super::*;

const NOW: Millis = 10 * DAY;

fn about(partition: u32) -> About {
    let changelog = Changelog { topic: "risks".to_owned(), lineage: "a from 0".to_owned(), next: 7 };
    About { build: String::new(), stage: "assess".to_owned(), partition, at: NOW, changelogs: vec![changelog] }
}

fn write(snapshots: &Snapshots, pieces: &[&[u8]]) -> io::Result<u64> {
    snapshots.write(about(3), |put| pieces.iter().for_each(|piece| put(piece)))
}

fn read(snapshots: &Snapshots, now: Millis) -> Result<Option<Vec<Vec<u8>>>, SnapshotError> {
    let Some(mut snapshot) = snapshots.open("assess", 3, now)? else { return Ok(None) };
    let mut pieces = Vec::new();
    while let Some(piece) = snapshot.pieces.next()? {
        pieces.push(piece.to_vec());
    }
    assert_eq!(snapshot.about.changelogs, about(3).changelogs);
    Ok(Some(pieces))
}

#[test]
fn what_was_written_is_read_and_a_new_one_takes_the_place_of_the_old() {
    let directory = tempfile::tempdir().unwrap();
    for snapshots in [Snapshots::in_directory(directory.path(), "b1").unwrap(), Snapshots::in_memory()] {
        assert!(read(&snapshots, NOW).unwrap().is_none());
        let large = vec![5; 3 << 20];
        write(&snapshots, &[b"one", &large, b"three"]).unwrap();
        assert_eq!(read(&snapshots, NOW + 1).unwrap().unwrap(), [b"one".to_vec(), large, b"three".to_vec()]);
        write(&snapshots, &[]).unwrap();
        assert_eq!(read(&snapshots, NOW).unwrap().unwrap(), Vec::<Vec<u8>>::new());
        snapshots.discard("assess", 3);
        assert!(read(&snapshots, NOW).unwrap().is_none());
    }
}

#[test]
fn one_of_another_build_partition_or_time_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::in_directory(directory.path(), "b1").unwrap();
    write(&snapshots, &[b"one"]).unwrap();
    let other = Snapshots::in_directory(directory.path(), "b2").unwrap();
    assert!(matches!(read(&other, NOW), Err(SnapshotError::Foreign(why)) if why.contains("build")));
    assert!(matches!(read(&snapshots, NOW + COPY_AGE_MAX), Err(SnapshotError::Foreign(why)) if why.contains("old")));
    assert!(matches!(read(&snapshots, NOW - 1), Err(SnapshotError::Foreign(why)) if why.contains("future")));
    fs::rename(directory.path().join(name("assess", 3)), directory.path().join(name("assess", 4))).unwrap();
    assert!(matches!(snapshots.open("assess", 4, NOW), Err(SnapshotError::Foreign(why)) if why.contains("partition")));
}

/// Cut off at every byte, and with every byte changed: it is refused, or it is what was written.
#[test]
fn damage_is_found_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::in_directory(directory.path(), "b1").unwrap();
    let pieces: [&[u8]; 3] = [b"the first piece", &[9; 500], b"the last"];
    write(&snapshots, &pieces).unwrap();
    let file = directory.path().join(name("assess", 3));
    let whole = fs::read(&file).unwrap();
    let refused = |content: &[u8]| {
        fs::write(&file, content).unwrap();
        match read(&snapshots, NOW) {
            Ok(Some(read)) => assert_eq!(read, pieces),
            Ok(None) => panic!("it is there"),
            Err(_) => return true,
        }
        false
    };
    for end in 0..whole.len() {
        assert!(refused(&whole[..end]), "cut off at {end} of {}", whole.len());
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        assert!(refused(&damaged), "changed at {at} of {}", whole.len());
    }
    assert!(refused(&[&whole[..], b"more"].concat()));
    assert!(!refused(&whole));
}

#[test]
fn a_piece_that_cannot_be_written_leaves_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::in_directory(directory.path(), "b1").unwrap();
    write(&snapshots, &[b"one"]).unwrap();
    assert!(write(&snapshots, &[b"two", b"", b"three"]).is_err());
    assert_eq!(read(&snapshots, NOW).unwrap().unwrap(), [b"one".to_vec()]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing unfinished stays");
}

#[test]
fn what_nobody_will_finish_or_take_is_swept_away() {
    let directory = tempfile::tempdir().unwrap();
    let aged = |name: &str, days: u64| {
        let file = File::create(directory.path().join(name)).unwrap();
        let made = file.metadata().unwrap().modified().unwrap();
        file.set_modified(made - Duration::from_secs(days * 24 * 3_600)).unwrap();
    };
    for (name, days) in
        [("a.1.unfinished", 1), ("b.2.unfinished", 0), ("c-1.snapshot", 7), ("d-1.snapshot", 5), ("e", 90)]
    {
        aged(name, days);
    }
    Snapshots::in_directory(directory.path(), "b1").unwrap();
    let left = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<String> = left.collect();
    left.sort();
    assert_eq!(
        left,
        ["b.2.unfinished", "d-1.snapshot", "e"],
        "another process may be writing, and what is not ours stays"
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let snapshots = directory.path().join("a/snapshots");
    Snapshots::in_directory(&snapshots, "b1").unwrap();
    assert_eq!(fs::metadata(&snapshots).unwrap().permissions().mode() & 0o777, 0o700);
}
