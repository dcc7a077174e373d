// Client is what programs do with client-go: every case runs against one cluster, in one namespace.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// limit bounds anything that a cluster should do at once.
const limit = 40 * time.Second

// test is what a case has to work with.
type test struct {
	context.Context
	config    *rest.Config
	typed     *kubernetes.Clientset
	dynamic   dynamic.Interface
	namespace string
	shell     string
	web       string
	seen      *recorder
}

var cases = []struct {
	name string
	run  func(*test)
}{
	{"creates, updates, patches, deletes", crud},
	{"retries on conflict", retries},
	{"reads errors", readsErrors},
	{"lists in pages", pages},
	{"tries without doing", dryRuns},
	{"uses any kind", dynamicObjects},
	{"discovers in two requests", discovers},
	{"keeps shared informers", sharedInformers},
	{"keeps a dynamic informer", dynamicInformer},
	{"runs a controller", runsController},
	{"elects leaders", electsLeaders},
	{"starts pods", startsPods},
	{"runs commands over WebSocket", func(t *test) { runsCommands(t, t.webSocket) }},
	{"runs commands over SPDY", func(t *test) { runsCommands(t, t.spdy) }},
	{"runs commands over whichever is there", func(t *test) { runsCommands(t, t.fallback) }},
	{"forwards ports over WebSocket", func(t *test) { forwardsPorts(t, t.tunnelDialer()) }},
	{"forwards ports over SPDY", func(t *test) { forwardsPorts(t, t.spdyDialer()) }},
	{"reads logs", readsLogs},
}

func main() {
	namespace := flag.String("namespace", "go", "a namespace, which is made and deleted")
	shell := flag.String("shell", "", "an image with a shell")
	web := flag.String("web", "", "an image that serves `web v1` on port 80")
	contentType := flag.String("content-type", runtime.ContentTypeJSON, "of requests, and accepted first")
	only := flag.Bool("only", false, "accept no other content type")
	flag.Parse()
	t := newTest(*namespace, *contentType, *only)
	t.shell, t.web = *shell, *web
	_, err := t.typed.CoreV1().Namespaces().Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}}, metav1.CreateOptions{})
	must(err)
	for _, c := range cases {
		t.timed(c.name, c.run)
	}
	must(t.typed.CoreV1().Namespaces().Delete(t, t.namespace, metav1.DeleteOptions{}))
	if *only {
		check(t.seen.answered(*contentType) > 0, "no answer had the content type %s", *contentType)
	}
	fmt.Printf("%d cases passed\n", len(cases))
}

func newTest(namespace, contentType string, only bool) *test {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	must(err)
	seen := &recorder{}
	config.QPS, config.Burst = -1, -1
	streams := rest.CopyConfig(config)
	config.Wrap(seen.wrap)
	dynamicClient, err := dynamic.NewForConfig(config)
	must(err)
	config.ContentType, config.AcceptContentTypes = contentType, contentType+","+runtime.ContentTypeJSON
	if only {
		config.AcceptContentTypes = contentType
	}
	typed, err := kubernetes.NewForConfig(config)
	must(err)
	return &test{Context: context.Background(), config: streams, typed: typed, dynamic: dynamicClient, namespace: namespace, seen: seen}
}

// timed runs a case, says how long it took, and ends the program when it fails.
func (t *test) timed(name string, run func(*test)) {
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Fprintf(os.Stderr, "failed: %s: %v\n", name, failure)
			os.Exit(1)
		}
	}()
	started := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	bounded := *t
	bounded.Context = ctx
	run(&bounded)
	fmt.Printf("ok %s %d ms\n", name, time.Since(started).Milliseconds())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(holds bool, format string, arguments ...any) {
	if !holds {
		panic(fmt.Sprintf(format, arguments...))
	}
}

// until asks again until the answer is true.
func (t *test) until(what string, done func() bool) {
	for !done() {
		check(t.Err() == nil, "not within %v: %s", limit, what)
		time.Sleep(10 * time.Millisecond)
	}
}

// recorder remembers requests and the content types of answers.
type recorder struct {
	sync.Mutex
	requests []string
	types    []string
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil {
			r.Lock()
			defer r.Unlock()
			r.requests = append(r.requests, request.Method+" "+request.URL.RequestURI())
			r.types = append(r.types, response.Header.Get("Content-Type"))
		}
		return response, err
	})
}

// answered counts the answers of a content type.
func (r *recorder) answered(contentType string) int {
	r.Lock()
	defer r.Unlock()
	other := func(seen string) bool { return !strings.HasPrefix(seen, contentType) }
	return len(slices.DeleteFunc(slices.Clone(r.types), other))
}

// requested counts the requests that hold every part.
func (r *recorder) requested(parts ...string) int {
	r.Lock()
	defer r.Unlock()
	lacks := func(request string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(request, part) })
	}
	return len(slices.DeleteFunc(slices.Clone(r.requests), lacks))
}
