//! Writing a file whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Writes `data` to `path`, with `suffix` if the name has none, and returns the path written.
pub(crate) fn save(path: &Path, data: &[u8], suffix: Option<&str>) -> io::Result<PathBuf> {
    if is_special(path) {
        fs::write(path, data)?;
        return Ok(path.to_owned());
    }
    let target = match suffix {
        Some(suffix) if path.extension().is_none() => path.with_extension(suffix),
        _ => path.to_owned(),
    };
    if is_special(&target) {
        fs::write(&target, data)?;
    } else {
        // Behind a link it is the file itself that is replaced.
        let place = fs::canonicalize(&target).unwrap_or_else(|_| not_there_yet(&target));
        replace(&place, data)?;
    }
    Ok(target)
}

/// Where a file is to be that does not exist.
fn not_there_yet(target: &Path) -> PathBuf {
    match fs::read_link(target) {
        Ok(linked) => target.parent().unwrap_or(Path::new("")).join(linked),
        Err(_) => target.to_owned(),
    }
}

fn replace(target: &Path, data: &[u8]) -> io::Result<()> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = folder.join(format!(".imagegen-{}", Uuid::new_v4().simple()));
    let written = write(&unfinished, data, target).and_then(|()| fs::rename(&unfinished, target));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished); // the first error is the one that tells
    }
    written
}

fn write(unfinished: &Path, data: &[u8], target: &Path) -> io::Result<()> {
    let mut file = File::create_new(unfinished)?;
    // First of all: nobody shall read it meanwhile who may not read the file.
    if let Ok(existing) = fs::metadata(target) {
        file.set_permissions(existing.permissions())?;
    }
    file.write_all(data)
}

/// A pipe or a device, which is written to directly.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}
