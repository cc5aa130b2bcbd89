// Finds the machines that run Kaspersky software in capture files: scan FILE...
package main

/*
#cgo pkg-config: kaspector
#include <kaspector.h>
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

func scan(detector *C.kaspector_detector, name string) error {
	path := C.CString(name)
	defer C.free(unsafe.Pointer(path))
	if C.kaspector_scan(detector, path) != C.KASPECTOR_OK {
		return fmt.Errorf("%s", C.GoString(C.kaspector_message(detector)))
	}
	for at := C.size_t(0); ; at++ {
		host := C.kaspector_host_at(detector, at)
		if host == nil {
			return nil
		}
		fmt.Printf("%s: %s %s %d%% %s\n", name, C.GoString(host.id.address.text.data),
			C.GoString(host.verdict_name.data), host.confidence, C.GoString(host.role.data))
	}
}

func main() {
	var detector *C.kaspector_detector
	status := C.kaspector_new(nil, &detector)
	defer C.kaspector_free(detector)
	if status != C.KASPECTOR_OK {
		fmt.Fprintln(os.Stderr, C.GoString(C.kaspector_message(detector)))
		os.Exit(1)
	}
	for _, name := range os.Args[1:] {
		if err := scan(detector, name); err != nil {
			fmt.Fprintln(os.Stderr, "scan:", err)
			os.Exit(1)
		}
	}
}
