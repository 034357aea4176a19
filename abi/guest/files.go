package guest

// Files reads and writes the mounts that needs.files asks for. Paths are absolute:
// the mount and the way below it, such as /notes/today.md.
type Files struct{ wire Wire }

// Files returns the files of the call.
func (c Context) Files() Files { return Files(c) }

// FileInfo describes a file or folder.
type FileInfo struct {
	Name  string `json:"name,omitempty"`
	Type  string `json:"type"` // file, dir, other
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // Unix milliseconds; of what is no file, 0
}

type fileRequest struct {
	Path    string `json:"path,omitempty"`
	Offset  int64  `json:"offset,omitempty"`
	Length  int64  `json:"length,omitempty"`
	Mode    string `json:"mode,omitempty"`
	IfMatch string `json:"if_match,omitempty"`
	MkDirs  bool   `json:"mkdirs,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// Read returns the whole file. The host's limit on bytes read holds.
func (f Files) Read(path string) ([]byte, error) {
	var all []byte
	for {
		part, eof, err := f.ReadAt(path, int64(len(all)), 0)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		if eof || len(part) == 0 {
			return all, nil
		}
	}
}

// ReadAt returns up to length bytes from offset (0 = as many as the host gives) and
// whether they reach the end of the file.
func (f Files) ReadAt(path string, offset, length int64) ([]byte, bool, error) {
	var ok struct {
		Data uint64 `json:"data"`
		EOF  bool   `json:"eof"`
	}
	block := hostFsRead(f.wire, request(fileRequest{Path: path, Offset: offset, Length: length}))
	if err := answer("fs_read", block, &ok); err != nil {
		return nil, false, err
	}
	return hostBlock(f.wire, ok.Data), ok.EOF, nil
}

// Create writes a new file, making the folders above it; a file that exists is a
// problem with code conflict.
func (f Files) Create(path string, data []byte) error { return f.write(path, "create", data) }

// Replace writes a file in one step, whether it exists or not.
func (f Files) Replace(path string, data []byte) error { return f.write(path, "replace", data) }

// Append adds to the end of a file.
func (f Files) Append(path string, data []byte) error { return f.write(path, "append", data) }

func (f Files) write(path, mode string, data []byte) error {
	block := hostFsWrite(f.wire, request(fileRequest{Path: path, Mode: mode, MkDirs: true}), data)
	return answer("fs_write", block, nil)
}

// List returns the entries of a folder, page by page until its end.
func (f Files) List(path string) ([]FileInfo, error) {
	var all []FileInfo
	after := ""
	for {
		var page struct {
			Entries []FileInfo `json:"entries"`
			Next    string     `json:"next"`
		}
		block := hostFsList(f.wire, request(fileRequest{Path: path, After: after}))
		if err := answer("fs_list", block, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		if page.Next == "" || page.Next == after {
			return all, nil
		}
		after = page.Next
	}
}

// Stat describes a file or folder.
func (f Files) Stat(path string) (FileInfo, error) {
	var info FileInfo
	err := answer("fs_stat", hostFsStat(f.wire, request(fileRequest{Path: path})), &info)
	return info, err
}

// Mkdir makes a folder.
func (f Files) Mkdir(path string) error {
	return answer("fs_mkdir", hostFsMkdir(f.wire, request(fileRequest{Path: path})), nil)
}

// Remove removes a file or an empty folder.
func (f Files) Remove(path string) error {
	return answer("fs_remove", hostFsRemove(f.wire, request(fileRequest{Path: path})), nil)
}

// Rename moves a file within one mount.
func (f Files) Rename(from, to string) error {
	return answer("fs_rename", hostFsRename(f.wire, request(fileRequest{From: from, To: to})), nil)
}
