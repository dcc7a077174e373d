package main

import (
	"context"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/workqueue"
)

type runtimeObject = runtime.Object

// counter counts the notifications of an informer.
type counter struct{ added, updated, deleted, resynced atomic.Int32 }

func (c *counter) handler() cache.ResourceEventHandler {
	version := func(item any) string { return item.(metav1.Object).GetResourceVersion() }
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.added.Add(1) },
		UpdateFunc: func(before, after any) {
			if version(before) == version(after) {
				c.resynced.Add(1)
			} else {
				c.updated.Add(1)
			}
		},
		DeleteFunc: func(any) { c.deleted.Add(1) },
	}
}

// sharedInformers keeps caches that begin with a streamed list, and that hand out everything again from time to time.
func sharedInformers(t *test) {
	t.create("early", nil)
	factory := informers.NewSharedInformerFactoryWithOptions(t.typed, time.Second, informers.WithNamespace(t.namespace))
	maps := factory.Core().V1().ConfigMaps()
	count := &counter{}
	_, err := maps.Informer().AddEventHandler(count.handler())
	must(err)
	pods := factory.Core().V1().Pods().Lister()
	factory.Start(t.Done())
	for kind, synced := range factory.WaitForCacheSync(t.Done()) {
		check(synced, "%v", kind)
	}
	check(t.seen.requested("/configmaps", "sendInitialEvents=true", "watch=true") > 0, "no streamed list")
	t.create("late", nil)
	t.until("late is added", func() bool {
		_, err := maps.Lister().ConfigMaps(t.namespace).Get("late")
		return err == nil
	})
	_, err = t.configMaps().Patch(t, "late", types.MergePatchType, []byte(`{"data":{"x":"y"}}`), metav1.PatchOptions{})
	must(err)
	t.remove("early")
	t.until("a change, a deletion and a resync are told", func() bool {
		return count.updated.Load() == 1 && count.deleted.Load() == 1 && count.resynced.Load() > 0
	})
	cached, err := maps.Lister().ConfigMaps(t.namespace).Get("late")
	must(err)
	check(cached.Data["x"] == "y", "%v", cached)
	none, err := pods.List(labels.Everything())
	must(err)
	check(len(none) == 0, "%v", none)
	t.remove("late")
}

func dynamicInformer(t *test) {
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(t.dynamic, 0, t.namespace, nil)
	informer := factory.ForResource(configMapResource)
	count := &counter{}
	_, err := informer.Informer().AddEventHandler(count.handler())
	must(err)
	factory.Start(t.Done())
	factory.WaitForCacheSync(t.Done())
	t.create("dynamic", nil)
	t.until("it is added", func() bool {
		_, err := informer.Lister().ByNamespace(t.namespace).Get("dynamic")
		return err == nil
	})
	t.remove("dynamic")
	t.until("it is deleted", func() bool { return count.deleted.Load() > 0 })
}

// runsController is a controller as everybody writes them: a queue of keys, filled by an informer, that works until it is
// level: each config map labelled `copy` gets a Secret with the same data.
func runsController(t *test) {
	factory := informers.NewSharedInformerFactoryWithOptions(t.typed, 0, informers.WithNamespace(t.namespace))
	maps, secrets := factory.Core().V1().ConfigMaps(), factory.Core().V1().Secrets()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	enqueue := func(item any) {
		key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(item)
		must(err)
		queue.Add(key)
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: enqueue, UpdateFunc: func(_, after any) { enqueue(after) }, DeleteFunc: enqueue}
	for _, informer := range []cache.SharedIndexInformer{maps.Informer(), secrets.Informer()} {
		_, err := informer.AddEventHandler(handler)
		must(err)
	}
	factory.Start(t.Done())
	factory.WaitForCacheSync(t.Done())
	reconcile := func(key string) error {
		_, name, err := cache.SplitMetaNamespaceKey(key)
		must(err)
		source, err := maps.Lister().ConfigMaps(t.namespace).Get(name)
		if err != nil || source.Labels["copy"] == "" {
			return nil
		}
		if existing, err := secrets.Lister().Secrets(t.namespace).Get(name); err == nil {
			if string(existing.Data["a"]) == source.Data["a"] {
				return nil
			}
			changed := existing.DeepCopy()
			changed.Data = map[string][]byte{"a": []byte(source.Data["a"])}
			_, err = t.typed.CoreV1().Secrets(t.namespace).Update(t, changed, metav1.UpdateOptions{})
			return err
		}
		owner := metav1.NewControllerRef(source, corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{*owner}}, StringData: source.Data}
		_, err = t.typed.CoreV1().Secrets(t.namespace).Create(t, made, metav1.CreateOptions{})
		return err
	}
	go func() {
		for {
			key, quit := queue.Get()
			if quit {
				return
			}
			if err := reconcile(key); err != nil {
				queue.AddRateLimited(key)
			} else {
				queue.Forget(key)
			}
			queue.Done(key)
		}
	}()
	secret := func(want string) func() bool {
		return func() bool {
			found, err := secrets.Lister().Secrets(t.namespace).Get("source")
			return (want == "" && err != nil) || (err == nil && string(found.Data["a"]) == want)
		}
	}
	source := configMap("source", map[string]string{"a": "1"})
	source.Labels = map[string]string{"copy": "yes"}
	_, err := t.configMaps().Create(t, source, metav1.CreateOptions{})
	must(err)
	t.until("the secret is made", secret("1"))
	_, err = t.configMaps().Patch(t, "source", types.MergePatchType, []byte(`{"data":{"a":"2"}}`), metav1.PatchOptions{})
	must(err)
	t.until("the secret follows", secret("2"))
	must(t.typed.CoreV1().Secrets(t.namespace).Delete(t, "source", metav1.DeleteOptions{}))
	t.until("the secret is made again", secret("2"))
	t.remove("source")
	t.until("the secret goes with its owner", secret(""))
}

// electsLeaders has two candidates, of which the leading one dies without giving up its lease.
func electsLeaders(t *test) {
	led := make(chan string, 2)
	candidate := func(identity string) context.CancelFunc {
		ctx, kill := context.WithCancel(t)
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "election", Namespace: t.namespace},
			Client:     t.typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		}
		callbacks := leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { led <- identity }, OnStoppedLeading: func() {}}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 2 * time.Second, RenewDeadline: time.Second, RetryPeriod: 200 * time.Millisecond, Callbacks: callbacks,
		})
		must(err)
		go elector.Run(ctx)
		return kill
	}
	kill := candidate("one")
	first := <-led
	defer candidate("two")()
	kill()
	second := <-led
	check(first == "one" && second == "two", "%s, then %s", first, second)
	lease, err := t.typed.CoordinationV1().Leases(t.namespace).Get(t, "election", metav1.GetOptions{})
	must(err)
	check(*lease.Spec.HolderIdentity == "two" && *lease.Spec.LeaseTransitions == 1, "%v", lease.Spec)
}
