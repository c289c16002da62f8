// Command interop NAMESRV CHECK ID [key=value ...] runs one check of rocketmq-client-go against a running
// cluster. It prints "FAIL CHECK: ..." for each failure, "OK CHECK" if there is none; exit code 0 or 1.
// Options: brokers (addresses, comma separated), count, deadline (seconds).
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

var checks = map[string]func(*run) error{
	"order":  checkOrder,
	"outage": checkOutage,
	"tags":   checkTags,
}

func main() {
	rlog.SetLogLevel("error")
	if len(os.Args) < 4 {
		fmt.Println("usage: interop NAMESRV CHECK ID [key=value ...]")
		os.Exit(2)
	}
	r := &run{namesrv: os.Args[1], check: os.Args[2], id: os.Args[3], options: map[string]string{}}
	for _, word := range os.Args[4:] {
		key, value, found := strings.Cut(word, "=")
		if !found {
			fmt.Printf("FAIL %s: an option reads key=value, not %s\n", r.check, word)
			os.Exit(2)
		}
		r.options[key] = value
	}
	check, known := checks[r.check]
	if !known {
		names := make([]string, 0, len(checks))
		for name := range checks {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Printf("FAIL %s: no such check; there are %v\n", r.check, names)
		os.Exit(2)
	}
	seconds := r.intOption("deadline", 120)
	time.AfterFunc(time.Duration(seconds)*time.Second, func() {
		r.fail("not finished within its deadline of %d s", seconds)
		os.Exit(1)
	})
	if err := check(r); err != nil {
		r.fail("%v", err)
	}
	r.close()
	if r.failures() > 0 {
		os.Exit(1)
	}
	fmt.Printf("OK %s\n", r.check)
}
