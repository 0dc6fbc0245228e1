// The peer of the row "check-go": `check PORT BODY_FILE` answers update checks from memory, with net/http alone.
// It reads the query as each server has to, compares versions, and counts its answers.
package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

var newest = [3]int{1, 1000, 0}

func parse(text string) (version [3]int, fits bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return version, false
	}
	for at, part := range parts {
		number, err := strconv.Atoi(part)
		if err != nil {
			return version, false
		}
		version[at] = number
	}
	return version, true
}

func older(one, other [3]int) bool {
	for at := range one {
		if one[at] != other[at] {
			return one[at] < other[at]
		}
	}
	return false
}

func main() {
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	releases := map[string][]byte{"linux/amd64": body}
	var answered atomic.Int64
	http.HandleFunc("GET /api/v1/updates/{app}/check", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		current, fits := parse(query.Get("current_version"))
		answer, known := releases[query.Get("platform")+"/"+query.Get("architecture")]
		if !fits || !known {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		if !older(current, newest) {
			answer = []byte(`{"update_available": false}`)
		}
		answered.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
