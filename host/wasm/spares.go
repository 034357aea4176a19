package wasm

import "sync"

// Bounds of what is kept for later calls.
const (
	maxSpare  = 1 << 20 // bytes of one memory
	maxSpares = 8 << 20 // bytes of all
)

// spares keeps the linear memories of small instances for later ones, zeroed: a new
// one from the heap costs more than the call of a small guest. The nil spares keeps
// nothing.
type spares struct {
	mu   sync.Mutex       // guards free and held
	free map[int][][]byte // by capacity
	held int
}

// take returns size zeroed bytes with room to grow to room.
func (s *spares) take(size, room uint64) []byte {
	if s != nil && room <= maxSpare {
		s.mu.Lock()
		defer s.mu.Unlock()
		if list := s.free[int(room)]; len(list) > 0 {
			buf := list[len(list)-1]
			s.free[int(room)] = list[:len(list)-1]
			s.held -= cap(buf)
			return buf[:size]
		}
	}
	return make([]byte, size, room)
}

// put keeps buf, zeroed to its whole capacity, if there is space.
func (s *spares) put(buf []byte) {
	n := cap(buf)
	if s == nil || n == 0 || n > maxSpare {
		return
	}
	clear(buf[:n])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held+n > maxSpares {
		return
	}
	if s.free == nil {
		s.free = map[int][][]byte{}
	}
	s.free[n] = append(s.free[n], buf)
	s.held += n
}
