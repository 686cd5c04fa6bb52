//! Images as files.

use std::fs;
use std::path::PathBuf;

use super::log::{facts, small};
use crate::{Image, v1};

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("imagegen-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn image(media_type: &str) -> Image {
    Image::from_bytes(small()).with_media_type(media_type)
}

/// A name without a suffix gets that of the type; one that has a suffix, and a type without one, is kept.
#[test]
fn suffixes() {
    let folder = Folder::new();
    for (media_type, name, written) in [
        ("image/png", "harbour", "harbour.png"),
        ("image/jpeg", "harbour", "harbour.jpg"),
        ("image/webp", "harbour.png", "harbour.png"),
        ("image/svg+xml", "a", "a.svg"),
        ("application/octet-stream", "bare", "bare"),
        ("", "none", "none"),
    ] {
        let path = image(media_type).save(folder.0.join(name)).unwrap();
        assert_eq!(path, folder.0.join(written));
        assert_eq!(fs::read(path).unwrap(), small());
    }
    assert_eq!(folder.files(), ["a.svg", "bare", "harbour.jpg", "harbour.png", "none"]);
}

/// A file is replaced whole and keeps its permissions; what fails leaves nothing behind.
#[test]
fn whole_or_not_at_all() {
    let folder = Folder::new();
    let path = folder.0.join("a.png");
    fs::write(&path, "before").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        image("image/png").save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // Behind a link it is the file that is replaced, not the link.
        symlink(&path, folder.0.join("link.png")).unwrap();
        image("image/png").save(folder.0.join("link.png")).unwrap();
        assert!(fs::symlink_metadata(folder.0.join("link.png")).unwrap().is_symlink());
        fs::remove_file(folder.0.join("link.png")).unwrap();
        // Also where that is not there yet.
        symlink("new.png", folder.0.join("link.png")).unwrap();
        image("image/png").save(folder.0.join("link.png")).unwrap();
        assert!(fs::symlink_metadata(folder.0.join("link.png")).unwrap().is_symlink());
        assert_eq!(fs::read(folder.0.join("new.png")).unwrap(), small());
        fs::remove_file(folder.0.join("link.png")).unwrap();
        fs::remove_file(folder.0.join("new.png")).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), small());
    fs::create_dir(folder.0.join("taken.png")).unwrap();
    assert!(image("image/png").save(folder.0.join("taken.png")).is_err());
    assert!(image("image/png").save(folder.0.join("nowhere/a.png")).is_err());
    assert_eq!(folder.files(), ["a.png", "taken.png"]);
}

/// A device is written to directly.
#[cfg(unix)]
#[test]
fn devices() {
    assert_eq!(image("image/png").save("/dev/null").unwrap(), PathBuf::from("/dev/null"));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

/// Without bytes there is nothing to save, and the error says where they are.
#[test]
fn bytes_elsewhere() {
    for (image, hint) in [
        (Image::from_id("img_1"), "Client::read"),
        (Image::from_url("https://example.com/a.png"), "URL"),
        (Image::default(), "without bytes"),
    ] {
        let error = image.save("never.png").unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        assert!(image.bytes().is_none());
    }
}

/// A file is read with its type as a hint from its name.
#[test]
fn from_files() {
    let folder = Folder::new();
    let path = image("").save(folder.0.join("A.JPG")).unwrap();
    let read = Image::from_path(&path).unwrap();
    assert_eq!((read.bytes(), read.media_type(), read.size_bytes()), (Some(&small()), "image/jpeg", 500));
    assert!(Image::from_path(folder.0.join("missing.png")).is_err());
    fs::File::create(folder.0.join("huge.png")).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(Image::from_path(folder.0.join("huge.png")).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
}

/// Facts of the server are told; the bytes are not printed.
#[test]
fn facts_are_told() {
    let time = prost_types::Timestamp { seconds: 1, nanos: 0 };
    let told = v1::Image { width: Some(64), expire_time: Some(time), ..facts(&small()) };
    let image = Image::from_server(told, small(), Default::default());
    assert_eq!((image.width(), image.height()), (Some(64), None));
    assert_eq!(image.expire_time(), Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1)));
    assert!(format!("{image:?}").len() < 300);
}
