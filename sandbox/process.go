package sandbox

// Process is a program that runs in a box. It is safe for concurrent use.
type Process struct {
	done chan struct{}
	kill func()
	exit Exit
	err  error
}

// Exit is how a program ended.
type Exit struct {
	Code           int    // exit status; −1 if the box was killed
	Signal         string // the signal that ended the program, such as "killed"
	Stdout, Stderr []byte // what was kept, for those that had no writer
}

// Wait waits until the program and everything that it started are gone. An exit
// status other than 0 is no error.
//
// # Errors
//   - ErrWall, ErrOutput: a limit of the box ended it
//   - ErrKilled: Kill ended it
//   - the cause of the context that was given to Start, if that ended
//   - ErrSurvived: the kernel did not end all processes in time
func (p *Process) Wait() (Exit, error) {
	<-p.done
	return p.exit, p.err
}

// Done is closed when Wait would return.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the program and everything that it started, at once, and waits for it.
func (p *Process) Kill() {
	p.kill()
	<-p.done
}
