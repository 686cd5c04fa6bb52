package imagegen

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

var suffixes = map[string]string{
	"image/png":     ".png",
	"image/jpeg":    ".jpg",
	"image/webp":    ".webp",
	"image/gif":     ".gif",
	"image/avif":    ".avif",
	"image/svg+xml": ".svg",
	"image/bmp":     ".bmp",
	"image/tiff":    ".tiff",
}

var mediaTypes = map[string]string{".jpeg": "image/jpeg", ".tif": "image/tiff"}

func init() {
	for mediaType, suffix := range suffixes {
		mediaTypes[suffix] = mediaType
	}
}

// Save writes the image to a file and returns the path written.
//
// A name without a suffix gets that of the media type ("harbour" becomes "harbour.png"); one that has a suffix is kept
// as it is. The file appears whole or not at all: it is written beside its place and then moved there. A place that is
// not a regular file (a pipe, a device) is written to directly.
//
// The error is that of the file system, or a [*RefusedError] if the bytes are elsewhere.
func (i *Image) Save(path string) (string, error) {
	if i.data == nil {
		return "", refused("image", "its bytes are not here: %s", i.whereabouts())
	}
	if strings.TrimLeft(filepath.Base(path), ".") == "" || strings.HasSuffix(path, string(filepath.Separator)) {
		return "", &fs.PathError{Op: "save", Path: path, Err: errors.New("this is no name for a file")}
	}
	if special(path) {
		return path, os.WriteFile(path, i.data, 0o666)
	}
	if filepath.Ext(strings.TrimLeft(filepath.Base(path), ".")) == "" {
		path += suffixes[i.MediaType()]
	}
	if special(path) {
		return path, os.WriteFile(path, i.data, 0o666)
	}
	return path, replace(path, i.data)
}

func (i *Image) whereabouts() string {
	switch {
	case i.ID() != "":
		return "fetch them from the server with Client.Read"
	case i.url != "":
		return "they are at its URL, where the server fetches them"
	}
	return "a preview by reference has facts only"
}

// special tells a pipe or a device, which is written to directly, from a file or a place for one.
func special(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func replace(path string, data []byte) (err error) {
	path = followed(path)
	permissions := fs.FileMode(0o666)
	there, gone := os.Stat(path)
	if gone == nil {
		permissions = there.Mode().Perm()
	}
	folder, _ := filepath.Split(path)
	unfinished, err := create(folder, permissions)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(unfinished.Name())
		}
	}()
	_, err = unfinished.Write(data)
	if err == nil && gone == nil {
		err = unfinished.Chmod(permissions) // what the umask took away
	}
	if closed := unfinished.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(unfinished.Name(), path)
}

// followed is where a name leads, which need not exist: where it is a link, the link is not replaced.
func followed(path string) string {
	for range 40 { // links to each other; the system follows no more
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			folder, _ := filepath.Split(path)
			target = folder + target // Join would take a ".." out, which behind another link leads elsewhere
		}
		path = target
	}
	return path
}

// create makes a file of a new name with the permissions that a file of that kind has, unlike os.CreateTemp.
func create(folder string, permissions fs.FileMode) (*os.File, error) {
	for {
		name := folder + ".imagegen-" + newUUID()
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}
