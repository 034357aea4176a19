package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Info is what a running daemon tells the command line through the state folder, so
// that verbs which work on files use the folders of that daemon.
type Info struct {
	PID     int       `json:"pid"`
	Address string    `json:"address"` // http://HOST:PORT
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Config  string    `json:"config,omitempty"` // absolute path
	Skills  []string  `json:"skills"`           // absolute folders, in the order of search
	Grants  []string  `json:"grants"`           // absolute folders, in the order of search
}

// Publish writes the address and the Info of a daemon that is ready.
func (s *State) Publish(info Info) error {
	b, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("publish address: %w", err)
	}
	if err := WriteFile(s.InfoFile(), append(b, '\n')); err != nil {
		return err
	}
	return WriteFile(s.AddressFile(), []byte(info.Address+"\n"))
}

// Withdraw removes what Publish wrote.
func (s *State) Withdraw() error {
	var all error
	for _, p := range []string{s.AddressFile(), s.InfoFile()} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// Running returns the Info of the daemon that published one, and fs.ErrNotExist
// where there is none. That it still runs is for the caller to find out.
func (s *State) Running() (Info, error) {
	b, err := ReadOwned(s.InfoFile(), maxFile)
	if err != nil {
		return Info{}, err
	}
	var info Info
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&info); err != nil {
		return Info{}, fmt.Errorf("read %s: %w", s.InfoFile(), err)
	}
	return info, nil
}
