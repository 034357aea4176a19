package host

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/host/config"
)

// openOrigins reads the private origins of the state folder again when their file
// has changed.
type openOrigins struct {
	state *config.State

	mu   sync.Mutex // guards last
	last *watched[[]config.PrivateOrigin]
}

func (o *openOrigins) origins() ([]config.PrivateOrigin, error) {
	info, err := os.Stat(o.state.EgressFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.last.current(info) {
		o.last = &watched[[]config.PrivateOrigin]{info: info, fresh: time.Since(info.ModTime()) < settled}
		o.last.value, o.last.err = o.state.PrivateOrigins()
	}
	return o.last.value, o.last.err
}
