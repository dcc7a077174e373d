package main

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/discovery"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
)

var dryRun = []string{metav1.DryRunAll}

func (t *test) configMaps() typedcorev1.ConfigMapInterface {
	return t.typed.CoreV1().ConfigMaps(t.namespace)
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

func (t *test) create(name string, data map[string]string) *corev1.ConfigMap {
	created, err := t.configMaps().Create(t, configMap(name, data), metav1.CreateOptions{})
	must(err)
	return created
}

func (t *test) remove(name string) {
	must(t.configMaps().Delete(t, name, metav1.DeleteOptions{}))
}

func crud(t *test) {
	created := t.create("first", map[string]string{"a": "1", "b": "2"})
	check(created.UID != "" && !created.CreationTimestamp.IsZero(), "incomplete: %v", created)
	patches := []struct {
		kind     types.PatchType
		body     string
		expected map[string]string
	}{
		{types.StrategicMergePatchType, `{"data":{"a":"3","b":null}}`, map[string]string{"a": "3"}},
		{types.MergePatchType, `{"data":{"c":"4"}}`, map[string]string{"a": "3", "c": "4"}},
		{types.JSONPatchType, `[{"op":"remove","path":"/data/a"}]`, map[string]string{"c": "4"}},
	}
	for _, patch := range patches {
		patched, err := t.configMaps().Patch(t, "first", patch.kind, []byte(patch.body), metav1.PatchOptions{})
		must(err)
		check(maps.Equal(patched.Data, patch.expected), "%s: %v", patch.kind, patched.Data)
	}
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "budget"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &intstr.IntOrString{Type: intstr.String, StrVal: "25%"}},
	}
	kept, err := t.typed.PolicyV1().PodDisruptionBudgets(t.namespace).Create(t, budget, metav1.CreateOptions{})
	must(err)
	check(equality.Semantic.DeepEqual(kept.Spec, budget.Spec), "changed on the way: %v", kept.Spec)
	uid := created.UID
	must(t.configMaps().Delete(t, "first", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}))
	_, err = t.configMaps().Get(t, "first", metav1.GetOptions{})
	check(errors.IsNotFound(err), "still there: %v", err)
}

func retries(t *test) {
	t.create("contended", map[string]string{"n": "0"})
	stale, err := t.configMaps().Get(t, "contended", metav1.GetOptions{})
	must(err)
	_, err = t.configMaps().Patch(t, "contended", types.MergePatchType, []byte(`{"data":{"other":"x"}}`), metav1.PatchOptions{})
	must(err)
	attempts := 0
	must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if attempts++; attempts > 1 {
			stale, err = t.configMaps().Get(t, "contended", metav1.GetOptions{})
			must(err)
		}
		stale.Data["n"] = "1"
		_, err := t.configMaps().Update(t, stale, metav1.UpdateOptions{})
		return err
	}))
	check(attempts == 2, "%d attempts", attempts)
	final, err := t.configMaps().Get(t, "contended", metav1.GetOptions{})
	must(err)
	check(maps.Equal(final.Data, map[string]string{"n": "1", "other": "x"}), "%v", final.Data)
	t.remove("contended")
}

func readsErrors(t *test) {
	t.create("taken", nil)
	_, taken := t.configMaps().Create(t, configMap("taken", nil), metav1.CreateOptions{})
	_, invalid := t.configMaps().Create(t, configMap("Not_A_Name", nil), metav1.CreateOptions{})
	_, old := t.configMaps().Watch(t, metav1.ListOptions{ResourceVersion: "1", TimeoutSeconds: new(int64)})
	_, malformed := t.configMaps().List(t, metav1.ListOptions{LabelSelector: "a in (b"})
	wrong := types.UID("another")
	precondition := t.configMaps().Delete(t, "taken", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	_, nowhere := t.typed.CoreV1().ConfigMaps("nowhere").Create(t, configMap("x", nil), metav1.CreateOptions{})
	for _, c := range []struct {
		err    error
		reason metav1.StatusReason
	}{
		{taken, metav1.StatusReasonAlreadyExists},
		{invalid, metav1.StatusReasonInvalid},
		{malformed, metav1.StatusReasonBadRequest},
		{precondition, metav1.StatusReasonConflict},
		{nowhere, metav1.StatusReasonNotFound},
	} {
		check(errors.ReasonForError(c.err) == c.reason, "%v is not %s", c.err, c.reason)
	}
	check(old == nil || errors.IsResourceExpired(old), "%v", old)
	details := invalid.(errors.APIStatus).Status().Details
	check(details.Kind == "ConfigMap" && details.Causes[0].Field == "metadata.name", "%v", details)
	t.remove("taken")
}

func pages(t *test) {
	for i := range 25 {
		t.create(fmt.Sprintf("page-%02d", i), map[string]string{"n": fmt.Sprint(i)})
	}
	lister := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtimeObject, error) {
		return t.configMaps().List(t, options)
	}))
	lister.PageSize = 7
	count := 0
	must(lister.EachListItem(t, metav1.ListOptions{}, func(item runtimeObject) error {
		if item.(*corev1.ConfigMap).Data["n"] != "" {
			count++
		}
		return nil
	}))
	check(count == 25, "%d items", count)
	must(t.configMaps().DeleteCollection(t, metav1.DeleteOptions{}, metav1.ListOptions{}))
	gone := func() bool {
		left, err := t.configMaps().List(t, metav1.ListOptions{FieldSelector: "metadata.name=page-00"})
		must(err)
		return len(left.Items) == 0
	}
	t.until("the collection is deleted", gone)
}

// dryRuns asks the server, without kubectl, what it would do.
func dryRuns(t *test) {
	created, err := t.configMaps().Create(t, configMap("dry", map[string]string{"a": "1"}), metav1.CreateOptions{DryRun: dryRun})
	must(err)
	check(created.UID != "", "no identity: %v", created)
	_, err = t.configMaps().Get(t, "dry", metav1.GetOptions{})
	check(errors.IsNotFound(err), "it was created: %v", err)
	kept := t.create("dry", map[string]string{"a": "1"})
	changed := kept.DeepCopy()
	changed.Data["a"] = "2"
	updated, err := t.configMaps().Update(t, changed, metav1.UpdateOptions{DryRun: dryRun})
	must(err)
	patched, err := t.configMaps().Patch(t, "dry", types.MergePatchType, []byte(`{"data":{"a":"2"}}`), metav1.PatchOptions{DryRun: dryRun})
	must(err)
	check(updated.Data["a"] == "2" && patched.Data["a"] == "2", "%v %v", updated, patched)
	must(t.configMaps().Delete(t, "dry", metav1.DeleteOptions{DryRun: dryRun}))
	after, err := t.configMaps().Get(t, "dry", metav1.GetOptions{})
	must(err)
	check(after.ResourceVersion == kept.ResourceVersion && after.Data["a"] == "1", "it changed: %v", after)
	_, err = t.configMaps().Create(t, configMap("Not_A_Name", nil), metav1.CreateOptions{DryRun: dryRun})
	check(errors.IsInvalid(err), "not validated: %v", err)
	t.remove("dry")
}

var configMapResource = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

func object(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"a": "1"},
	}}
}

func dynamicObjects(t *test) {
	client := t.dynamic.Resource(configMapResource).Namespace(t.namespace)
	_, err := client.Create(t, object("any"), metav1.CreateOptions{})
	must(err)
	patched, err := client.Patch(t, "any", types.MergePatchType, []byte(`{"data":{"a":"2"}}`), metav1.PatchOptions{})
	must(err)
	value, _, _ := unstructured.NestedString(patched.Object, "data", "a")
	check(value == "2", "%v", patched.Object)
	list, err := client.List(t, metav1.ListOptions{FieldSelector: "metadata.name=any"})
	must(err)
	check(len(list.Items) == 1 && list.GetKind() == "ConfigMapList", "%v", list)
	must(client.Delete(t, "any", metav1.DeleteOptions{}))
	nodes := t.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"})
	cluster, err := nodes.List(t, metav1.ListOptions{})
	must(err)
	check(len(cluster.Items) > 0, "no nodes")
	_, err = t.dynamic.Resource(schema.GroupVersionResource{Group: "none.test", Version: "v1", Resource: "things"}).List(t, metav1.ListOptions{})
	check(errors.IsNotFound(err), "%v", err)
}

// discovers reads all groups and resources: the aggregated form takes one request for /api and one for /apis.
func discovers(t *test) {
	before := t.seen.requested("GET /api")
	groups, resources, err := t.typed.Discovery().ServerGroupsAndResources()
	must(err)
	check(t.seen.requested("GET /api")-before == 2, "%d requests", t.seen.requested("GET /api")-before)
	check(len(groups) > 15 && len(resources) > 20, "%d groups, %d resources", len(groups), len(resources))
	preferred, err := discovery.ServerPreferredNamespacedResources(t.typed.Discovery())
	must(err)
	lists := discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "create", "watch"}}, preferred)
	check(len(lists) > 8, "%v", lists)
	version, err := t.typed.Discovery().ServerVersion()
	must(err)
	check(version.Major == "1" && version.Minor == "36", "%v", version)
	document, err := t.typed.Discovery().OpenAPIV3().Paths()
	must(err)
	_, found := document["apis/apps/v1"]
	check(found, "OpenAPI v3 knows %d paths", len(document))
}
