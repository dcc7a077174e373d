package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

func startsPods(t *test) {
	pod := func(name, image string, command ...string) *corev1.Pod {
		container := corev1.Container{Name: "main", Image: image, Command: command}
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{container}, TerminationGracePeriodSeconds: new(int64)},
		}
	}
	pods := t.typed.CoreV1().Pods(t.namespace)
	for _, p := range []*corev1.Pod{pod("shell", t.shell, "sh", "-c", "echo up; exec sleep 3600"), pod("web", t.web)} {
		_, err := pods.Create(t, p, metav1.CreateOptions{})
		must(err)
		t.until(p.Name+" is ready", func() bool {
			found, err := pods.Get(t, p.Name, metav1.GetOptions{})
			must(err)
			for _, condition := range found.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
					return true
				}
			}
			return false
		})
	}
}

func (t *test) execURL(options *corev1.PodExecOptions) *url.URL {
	request := t.typed.CoreV1().RESTClient().Post().Namespace(t.namespace).Resource("pods").Name("shell").SubResource("exec")
	return request.VersionedParams(options, scheme.ParameterCodec).URL()
}

// dialling makes an executor for a URL.
type dialling func(*url.URL) (remotecommand.Executor, error)

func (t *test) spdy(to *url.URL) (remotecommand.Executor, error) {
	return remotecommand.NewSPDYExecutor(t.config, http.MethodPost, to)
}

func (t *test) webSocket(to *url.URL) (remotecommand.Executor, error) {
	return remotecommand.NewWebSocketExecutor(t.config, http.MethodGet, to.String())
}

func (t *test) fallback(to *url.URL) (remotecommand.Executor, error) {
	primary, err := t.webSocket(to)
	must(err)
	secondary, err := t.spdy(to)
	must(err)
	return remotecommand.NewFallbackExecutor(primary, secondary, httpstream.IsUpgradeFailure)
}

// run executes a command in the pod `shell` and returns what it printed.
func (t *test) run(dial dialling, input io.Reader, command ...string) (string, string, error) {
	options := &corev1.PodExecOptions{Container: "main", Command: command, Stdin: input != nil, Stdout: true, Stderr: true}
	executor, err := dial(t.execURL(options))
	must(err)
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(t, remotecommand.StreamOptions{Stdin: input, Stdout: &stdout, Stderr: &stderr})
	return stdout.String(), stderr.String(), err
}

func runsCommands(t *test, dial dialling) {
	stdout, stderr, err := t.run(dial, nil, "sh", "-c", "echo out; echo err >&2; exit 9")
	code, isExit := err.(exec.CodeExitError)
	check(stdout == "out\n" && stderr == "err\n" && isExit && code.Code == 9, "%q %q %v", stdout, stderr, err)
	data := bytes.Repeat([]byte("all work and no play makes a dull test\n"), 200_000)
	stdout, _, err = t.run(dial, bytes.NewReader(data), "sha256sum")
	must(err)
	check(strings.HasPrefix(stdout, fmt.Sprintf("%x ", sha256.Sum256(data))), "%s", stdout)
	stdout, _, err = t.run(dial, bytes.NewReader(data), "cat")
	must(err)
	check(stdout == string(data), "%d bytes came back of %d", len(stdout), len(data))
	stdout, _, err = t.run(dial, strings.NewReader("never read"), "true")
	check(err == nil && stdout == "", "%q %v", stdout, err)
	_, _, err = t.run(dial, nil, "/no/such")
	check(err != nil && strings.Contains(err.Error(), "no such file"), "%v", err)
	hasTerminal(t, dial)
}

// sizes hands out one terminal size.
type sizes chan *remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize { return <-s }

func hasTerminal(t *test, dial dialling) {
	executor, err := dial(t.execURL(&corev1.PodExecOptions{Container: "main", Command: []string{"sh", "-c", "until stty size 2>/dev/null | grep -q '33 101'; do usleep 10000; done; stty size"}, Stdin: true, Stdout: true, TTY: true}))
	must(err)
	queue := make(sizes, 1)
	queue <- &remotecommand.TerminalSize{Width: 101, Height: 33}
	input, writer := io.Pipe()
	defer writer.Close()
	var shown bytes.Buffer
	must(executor.StreamWithContext(t, remotecommand.StreamOptions{Stdin: input, Stdout: &shown, Tty: true, TerminalSizeQueue: queue}))
	check(shown.String() == "33 101\r\n", "%q", shown.String())
	close(queue)
}

func (t *test) forwardURL() *url.URL {
	return t.typed.CoreV1().RESTClient().Post().Namespace(t.namespace).Resource("pods").Name("web").SubResource("portforward").URL()
}

func (t *test) spdyDialer() httpstream.Dialer {
	transport, upgrader, err := spdy.RoundTripperFor(t.config)
	must(err)
	return spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, t.forwardURL())
}

func (t *test) tunnelDialer() httpstream.Dialer {
	dialer, err := portforward.NewSPDYOverWebsocketDialer(t.forwardURL(), t.config)
	must(err)
	return dialer
}

func forwardsPorts(t *test, dialer httpstream.Dialer) {
	stop, ready := make(chan struct{}), make(chan struct{})
	told := make(chan string, 1)
	utilruntime.ErrorHandlers = []utilruntime.ErrorHandler{func(_ context.Context, err error, _ string, _ ...any) { told <- err.Error() }}
	forwarder, err := portforward.New(dialer, []string{"0:80", "0:81"}, stop, ready, io.Discard, io.Discard)
	must(err)
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		panic(err)
	}
	ports, err := forwarder.GetPorts()
	must(err)
	address := fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local)
	var all sync.WaitGroup
	pages := make(chan string, 20)
	for range cap(pages) {
		all.Go(func() { pages <- get(address) })
	}
	all.Wait()
	for range cap(pages) {
		page := <-pages
		check(page == "web v1\n", "%q", page)
	}
	refused := get(fmt.Sprintf("http://127.0.0.1:%d/", ports[1].Local))
	check(strings.Contains(refused, "EOF"), "%s", refused)
	why := <-told
	check(strings.Contains(why, "Connection refused"), "%q", why)
	close(stop)
	<-ended
}

// get answers with a page, or the error in words.
func get(address string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(address)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func readsLogs(t *test) {
	tail := int64(1)
	stream, err := t.typed.CoreV1().Pods(t.namespace).GetLogs("shell", &corev1.PodLogOptions{TailLines: &tail, Follow: true}).Stream(t)
	must(err)
	defer stream.Close()
	line := make([]byte, 3)
	_, err = io.ReadFull(stream, line)
	must(err)
	check(string(line) == "up\n", "%q", line)
}
