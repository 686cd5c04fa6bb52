package imagegen

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Save adds the suffix of the type to a name that has none, replaces what was there, and leaves nothing else behind.
func TestSave(t *testing.T) {
	folder := t.TempDir()
	image := imageFromProto(facts(small), small)
	for name, wanted := range map[string]string{
		"harbour": "harbour.png", "harbour.jpeg": "harbour.jpeg", ".hidden": ".hidden.png", "a.b": "a.b", "harbour.png": "harbour.png",
	} {
		path := must(image.Save(filepath.Join(folder, name)))(t)
		if path != filepath.Join(folder, wanted) || !bytes.Equal(must(os.ReadFile(path))(t), small) {
			t.Errorf("%s became %s", name, path)
		}
	}
	if entries := must(os.ReadDir(folder))(t); len(entries) != 4 {
		t.Fatal(entries)
	}
	mask := fs.FileMode(syscall.Umask(0))
	syscall.Umask(int(mask))
	if mode := must(os.Stat(filepath.Join(folder, "harbour.png")))(t).Mode(); mode != 0o666&^mask {
		t.Fatal(mode)
	}
}

// The permissions of a file that is replaced stay, and a link goes on leading to its file.
func TestSaveKeepsPermissionsAndLinks(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target.png"), filepath.Join(folder, "link.png")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	must(imageFromProto(facts(small), small).Save(link))(t)
	info := must(os.Lstat(target))(t)
	if info.Mode().Perm() != 0o600 || info.Size() != int64(len(small)) || must(os.Lstat(link))(t).Mode()&fs.ModeSymlink == 0 {
		t.Fatal(info)
	}
}

// What replaces a private file is private from its first byte on.
func TestSaveIsNeverMoreOpenThanTheFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "private.png")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 16<<20)
	saved := make(chan error, 1)
	go func() {
		_, err := imageFromProto(facts(large), large).Save(path)
		saved <- err
	}()
	for {
		select {
		case err := <-saved:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		for _, entry := range must(os.ReadDir(folder))(t) {
			if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Fatal(entry.Name(), info.Mode())
			}
		}
	}
}

// A link whose file is not there yet goes on leading to it, too.
func TestSaveThroughALinkToNothing(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target.png"), filepath.Join(folder, "link.png")
	if err := os.MkdirAll(filepath.Join(folder, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	// "far" is a/b, so that far/.. is a, whatever its name looks like.
	for name, leads := range map[string]string{"far": filepath.Join("a", "b"), "link.png": "far/../../target.png"} {
		if err := os.Symlink(leads, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	must(imageFromProto(facts(small), small).Save(link))(t)
	if !bytes.Equal(must(os.ReadFile(target))(t), small) || must(os.Lstat(link))(t).Mode()&fs.ModeSymlink == 0 {
		t.Fatal("the link was replaced")
	}
}

// Where the file cannot be written there is an error and nothing is left; a device is written to as it is.
func TestSaveThatFails(t *testing.T) {
	folder := t.TempDir()
	image := imageFromProto(facts(small), small)
	for _, path := range []string{filepath.Join(folder, "none", "x.png"), folder + string(filepath.Separator), "", ".."} {
		if _, err := image.Save(path); err == nil {
			t.Error(path)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "x.png"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Save(filepath.Join(folder, "x.png")); err == nil {
		t.Error("a folder was replaced")
	}
	if entries := must(os.ReadDir(folder))(t); len(entries) != 1 {
		t.Fatal(entries)
	}
	if path := must(image.Save(os.DevNull))(t); path != os.DevNull {
		t.Fatal(path)
	}
	_, err := ImageFromID("img_1").Save(filepath.Join(folder, "y"))
	wantRefusal(t, err, "image")
}

// Bytes have a size within the limit, and the type of a file follows from its name.
func TestImagesOfOnesOwn(t *testing.T) {
	_, err := ImageFromBytes(nil, "")
	wantRefusal(t, err, "image")
	_, err = ImageFromBytes(make([]byte, MaxImageBytes+1), "")
	wantRefusal(t, err, "image")
	path := filepath.Join(t.TempDir(), "x.JPEG")
	if err := os.WriteFile(path, small, 0o600); err != nil {
		t.Fatal(err)
	}
	image := must(ImageFromFile(path))(t)
	if image.MediaType() != "image/jpeg" || !bytes.Equal(image.Bytes(), small) || image.Generated() != nil {
		t.Fatal(image)
	}
	if _, err := ImageFromFile(path + "x"); !os.IsNotExist(err) {
		t.Fatal(err)
	}
}
