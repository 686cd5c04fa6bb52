// Command modzip packs a module in the layout of a Go module proxy, as a proxy would pack it from the repository: without
// nested modules, and with the LICENSE of the repository's root.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	root := flag.String("module", "", "the folder of the module")
	license := flag.String("license", "", "the license file")
	version := flag.String("version", "", "the version, such as v0.1.0")
	out := flag.String("out", "", "the folder of the proxy")
	flag.Parse()
	if err := pack(*root, *license, *version, *out); err != nil {
		fmt.Fprintln(os.Stderr, "modzip:", err)
		os.Exit(1)
	}
}

func pack(root, license, version, out string) error {
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	packed := module.Version{Path: modfile.ModulePath(gomod), Version: version}
	escaped, err := module.EscapePath(packed.Path)
	if err != nil {
		return err
	}
	files, err := list(root)
	if err != nil {
		return err
	}
	files = append(files, file{path: "LICENSE", at: license})
	place := filepath.Join(out, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(place, 0o755); err != nil {
		return err
	}
	archive, err := os.Create(filepath.Join(place, version+".zip"))
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := zip.Create(archive, packed, files); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	info, err := json.Marshal(map[string]string{"Version": version})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		version + ".mod":  gomod,
		version + ".info": append(info, '\n'),
		"list":            []byte(version + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(place, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// list is the files of the module: without those of nested modules, and without what was built here.
func list(root string) ([]zip.File, error) {
	var files []zip.File
	err := filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		path, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(at, "go.mod"))
			if nested == nil || path == "build" || path == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			files = append(files, file{path: filepath.ToSlash(path), at: at})
		}
		return nil
	})
	return files, err
}

// A file is one of the archive, and where it lies.
type file struct{ path, at string }

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.at) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.at) }
