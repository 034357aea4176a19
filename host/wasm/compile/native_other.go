//go:build !linux

package compile

import (
	"os"

	"github.com/glovebox-dev/glovebox/sandbox"
)

func nativeName(string) bool { return false }

func readNative(string, int64) (string, []byte, error) { return "", nil, sandbox.ErrUnsupported }

func readRegular(*os.File, int64) ([]byte, error) { return nil, sandbox.ErrUnsupported }

func openEntry(string) (*os.File, error) { return nil, sandbox.ErrUnsupported }

func private(os.FileInfo) bool { return false }
