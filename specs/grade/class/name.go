package class

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"daemonlab/specs/finding"
)

// Name is a submission's, which is its folder's: any bytes but NUL and a slash.
type Name string

// String shows the name to people: on one line, with everything that does not print, directs text or is no UTF-8
// escaped. Different names look different.
func (n Name) String() string {
	return finding.Escape(strings.ReplaceAll(string(n), `\`, `\\`), "")
}

// rawName is how a name looks in JSON whose strings cannot hold it.
type rawName struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON writes a string, or an object with the bytes where they are no UTF-8, which encoding/json would replace.
func (n Name) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return json.Marshal(string(n))
	}
	return json.Marshal(rawName{[]byte(n)})
}

// UnmarshalJSON reads what [Name.MarshalJSON] writes.
func (n *Name) UnmarshalJSON(data []byte) error {
	if strings.HasPrefix(string(data), "{") {
		var raw rawName
		err := json.Unmarshal(data, &raw)
		*n = Name(raw.Bytes)
		return err
	}
	var s string
	err := json.Unmarshal(data, &s)
	*n = Name(s)
	return err
}

const (
	folderLength = 60 // bytes of the name in a folder's
	folderHash   = 6  // bytes of the hash
)

// Folder is a name for a folder or file that belongs to the submission: plain on every file system, and another one for
// each name. A name that is not plain itself gets a hash behind a tilde, which no plain one has.
func (n Name) Folder() string {
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) {
			return r
		}
		return '_'
	}, strings.ToLower(string(n)))
	plain = plain[:min(len(plain), folderLength)]
	if strings.HasPrefix(plain, ".") || strings.HasPrefix(plain, "-") {
		plain = "_" + plain[1:]
	}
	if plain == string(n) {
		return plain
	}
	hash := sha256.Sum256([]byte(n))
	return fmt.Sprintf("%s~%x", plain, hash[:folderHash])
}
