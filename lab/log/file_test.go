package log

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Log rotation may rename the file at any moment.
func TestAFileThatIsRenamedMeanwhileIsOpenedAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20_000 {
			os.Rename(path, path+".1") // ENOENT: not opened since
		}
	}()
	for rotating := true; rotating; {
		select {
		case <-done:
			rotating = false
		default:
		}
		fd, err := openFile(path, os.Getuid(), os.Getgid())
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
}
