//! SIF files, as runtimes make them and as nobody should.

/// A descriptor of a SIF file.
pub struct Object {
    /// Its kind.
    pub kind: i32,
    /// Where what it describes lies, and how long that is.
    pub place: (i64, i64),
    /// The file system's kind, the partition's, and the machine.
    pub partition: (i32, i32, [u8; 2]),
}

/// A squashfs system partition for any machine.
pub const SQUASHFS: (i32, i32, [u8; 2]) = (1, 2, *b"00");

impl Object {
    /// The partition that containers start from.
    pub fn system(place: (i64, i64), partition: (i32, i32, [u8; 2])) -> Self {
        Self { kind: 0x4004, place, partition }
    }
}

/// A SIF file as runtimes make them, with 48 descriptors of which these are used, and bytes from 36864 on.
pub fn sif(objects: &[Object], data: &[u8]) -> Vec<u8> {
    let mut file = b"#!/usr/bin/env run-singularity\n\0".to_vec();
    file.extend(b"SIF_MAGIC\x0001\x0002\0");
    file.resize(128, 0);
    for (at, number) in [(88, 48i64), (96, 4096), (104, 48 * 585)] {
        file[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    file.resize(36864, 0);
    for (number, object) in objects.iter().enumerate() {
        let at = 4096 + number * 585;
        let mut put =
            |from: usize, bytes: &[u8]| file[at + from..][..bytes.len()].copy_from_slice(bytes);
        put(0, &object.kind.to_le_bytes());
        put(4, &[1]);
        put(17, &object.place.0.to_le_bytes());
        put(25, &object.place.1.to_le_bytes());
        let (file_system, part, machine) = object.partition;
        put(201, &file_system.to_le_bytes());
        put(205, &part.to_le_bytes());
        put(209, &machine);
    }
    file.extend_from_slice(data);
    file
}
