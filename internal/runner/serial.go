package runner

import "sync"

// serial runs functions of one key one after another and those of different
// keys at the same time. Its zero value is ready.
type serial struct {
	mu   sync.Mutex
	keys map[string][]func()
}

// do queues f behind the functions of its key.
func (s *serial) do(key string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string][]func(){}
	}
	waiting, busy := s.keys[key]
	s.keys[key] = append(waiting, f)
	if !busy {
		go s.drain(key)
	}
}

func (s *serial) drain(key string) {
	for {
		s.mu.Lock()
		waiting := s.keys[key]
		if len(waiting) == 0 {
			delete(s.keys, key)
			s.mu.Unlock()
			return
		}
		f := waiting[0]
		s.keys[key] = waiting[1:]
		s.mu.Unlock()
		f()
	}
}
