// What programs do with the JavaScript client: every case runs against one cluster, in one namespace.
// Usage: client.js NAMESPACE SHELL-IMAGE WEB-IMAGE. The kubeconfig is the environment's.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import * as k8s from '@kubernetes/client-node';

const [namespace, shell, web] = process.argv.slice(2);
const LIMIT = 40_000; // ms for anything that a cluster should do at once

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const configMaps = `/api/v1/namespaces/${namespace}/configmaps`;

const configMap = (name, data = {}, labels = {}) => ({ metadata: { name, labels }, data });
const create = (name, data, labels) => core.createNamespacedConfigMap({ namespace, body: configMap(name, data, labels) });
const remove = (name) => core.deleteNamespacedConfigMap({ name, namespace });
const patched = (strategy) => k8s.setHeaderOptions('Content-Type', strategy);
const patch = (name, body, strategy) => core.patchNamespacedConfigMap({ name, namespace, body }, patched(strategy));

/** Asks again until the answer is true. */
async function until(what, done) {
  for (const end = Date.now() + LIMIT; ; await sleep(20)) {
    if (await done()) return;
    assert.ok(Date.now() < end, `not within ${LIMIT} ms: ${what}`);
  }
}

/** The parsed body of a call that must fail with `code`. */
async function refused(code, promise) {
  const error = await promise.then(() => assert.fail('accepted'), (error) => error);
  assert.equal(error.code, code, String(error));
  const body = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
  assert.equal(body.kind, 'Status');
  assert.equal(body.code, code);
  return body;
}

/** A stream that keeps what is written to it. */
function collector() {
  const chunks = [];
  const stream = new Writable({ write: (chunk, _, done) => (chunks.push(chunk), done()) });
  stream.bytes = () => Buffer.concat(chunks);
  stream.text = () => stream.bytes().toString();
  return stream;
}

/** Runs a command in the pod `shell` to its end. */
async function exec(command, stdin = null, tty = false) {
  const [stdout, stderr] = [collector(), collector()];
  const executor = new k8s.Exec(config);
  const status = await new Promise((resolve, reject) => {
    executor.exec(namespace, 'shell', 'main', command, stdout, stderr, stdin, tty, resolve).catch(reject);
  });
  return { status, stdout, stderr };
}

async function ready(name) {
  await until(`pod ${name} is ready`, async () => {
    const pod = await core.readNamespacedPod({ name, namespace });
    return pod.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  });
}

const pod = (name, image, command) => ({
  metadata: { name, labels: { name } },
  spec: { containers: [{ name: 'main', image, command }], terminationGracePeriodSeconds: 0 },
});

const cases = {
  async 'creates, reads, patches, replaces, deletes'() {
    const created = await create('first', { a: '1', b: '2' });
    assert.ok(created.metadata.uid && created.metadata.creationTimestamp instanceof Date);
    const strategic = await patch('first', { data: { a: '3', b: null } }, k8s.PatchStrategy.StrategicMergePatch);
    assert.deepEqual(strategic.data, { a: '3' });
    const merged = await patch('first', { data: { c: '4' } }, k8s.PatchStrategy.MergePatch);
    assert.deepEqual(merged.data, { a: '3', c: '4' });
    const operation = { op: 'remove', path: '/data/a' };
    const jsonPatched = await patch('first', [operation], k8s.PatchStrategy.JsonPatch);
    assert.deepEqual(jsonPatched.data, { c: '4' });
    jsonPatched.data = { d: '5' };
    const replaced = await core.replaceNamespacedConfigMap({ name: 'first', namespace, body: jsonPatched });
    assert.deepEqual(replaced.data, { d: '5' });
    assert.equal((await remove('first')).status, 'Success');
    const missing = await refused(404, core.readNamespacedConfigMap({ name: 'first', namespace }));
    assert.deepEqual(missing.details, { name: 'first', kind: 'configmaps' });
  },

  async 'parses errors'() {
    await create('taken');
    assert.equal((await refused(409, create('taken'))).reason, 'AlreadyExists');
    const invalid = await refused(422, create('Not_A_Name'));
    assert.equal(invalid.details.causes[0].field, 'metadata.name');
    assert.equal((await refused(400, core.listNamespacedPod({ namespace, labelSelector: '!!' }))).reason, 'BadRequest');
    await remove('taken');
  },

  async 'lists in pages'() {
    for (let i = 0; i < 5; i++) await create(`page-${i}`, {}, { set: 'paged' });
    const [names, remaining] = [[], []];
    let _continue;
    do {
      const page = await core.listNamespacedConfigMap({ namespace, limit: 2, _continue });
      names.push(...page.items.map((item) => item.metadata.name).filter((name) => name.startsWith('page-')));
      remaining.push(page.metadata.remainingItemCount);
      _continue = page.metadata._continue;
    } while (_continue);
    assert.deepEqual(names, [0, 1, 2, 3, 4].map((i) => `page-${i}`));
    assert.deepEqual(remaining.slice(0, 2), [4, 2]);
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'set=paged' });
  },

  async 'watches from a version, and is told when it is too old'() {
    const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
    await create('seen');
    await remove('seen');
    const seen = [];
    await new Promise((resolve, reject) => {
      const options = { resourceVersion: start, fieldSelector: 'metadata.name=seen', allowWatchBookmarks: true };
      const watching = new k8s.Watch(config).watch(configMaps, options, (type, object) => {
        seen.push(`${type} ${object.metadata.name}`);
        if (type === 'DELETED') watching.then((controller) => (controller.abort(), resolve()));
      }, (error) => (error?.name === 'AbortError' || reject(error ?? new Error('the watch ended'))));
    });
    assert.deepEqual(seen, ['ADDED seen', 'DELETED seen']);
    const answer = await new Promise((resolve) => {
      const watcher = new k8s.Watch(config);
      watcher.watch(configMaps, { resourceVersion: '1' }, (type, object) => resolve([type, object.code]), resolve);
    });
    assert.deepEqual(answer, ['ERROR', 410]);
  },

  async 'keeps an informer'() {
    const labelSelector = 'by=informer';
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector });
    const informer = k8s.makeInformer(config, configMaps, list, labelSelector);
    const seen = [];
    for (const verb of ['add', 'update', 'delete']) informer.on(verb, (object) => seen.push(`${verb} ${object.metadata.name}`));
    informer.on('error', (error) => error.name === 'AbortError' || seen.push(String(error)));
    await create('early', {}, { by: 'informer' });
    await informer.start();
    await create('late', {}, { by: 'informer' });
    await until('added', () => seen.includes('add late'));
    await patch('late', { data: { x: 'y' } }, k8s.PatchStrategy.MergePatch);
    await until('updated', () => seen.includes('update late'));
    assert.deepEqual(informer.get('late', namespace).data, { x: 'y' });
    await remove('early');
    await until('deleted', () => seen.includes('delete early'));
    await informer.stop();
    assert.deepEqual(seen, ['add early', 'add late', 'update late', 'delete early']);
    await remove('late');
  },

  async 'runs a deployment'() {
    const labels = { app: 'js' };
    const spec = { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod('', web).spec } };
    await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: 'js' }, spec } });
    const replicas = async () => (await apps.readNamespacedDeployment({ name: 'js', namespace })).status.readyReplicas;
    await until('one replica is ready', async () => (await replicas()) === 1);
    const scale = await apps.readNamespacedDeploymentScale({ name: 'js', namespace });
    scale.spec.replicas = 2;
    await apps.replaceNamespacedDeploymentScale({ name: 'js', namespace, body: scale });
    await until('two replicas are ready', async () => (await replicas()) === 2);
    await apps.deleteNamespacedDeployment({ name: 'js', namespace, propagationPolicy: 'Background' });
    await until('its pods are gone', async () =>
      (await core.listNamespacedPod({ namespace, labelSelector: 'app=js' })).items.length === 0);
  },

  async 'starts pods'() {
    const script = 'for i in 1 2 3; do echo line $i; done; exec sleep 3600';
    await core.createNamespacedPod({ namespace, body: pod('shell', shell, ['sh', '-c', script]) });
    await core.createNamespacedPod({ namespace, body: pod('web', web) });
    await Promise.all([ready('shell'), ready('web')]);
  },

  async 'runs commands'() {
    const plain = await exec(['sh', '-c', 'echo out; echo err >&2; exit 4']);
    assert.equal(plain.stdout.text(), 'out\n');
    assert.equal(plain.stderr.text(), 'err\n');
    assert.equal(plain.status.reason, 'NonZeroExitCode');
    assert.deepEqual(plain.status.details.causes, [{ reason: 'ExitCode', message: '4' }]);
    assert.equal((await exec(['true'])).status.status, 'Success');
    const none = await exec(['/no/such']);
    assert.equal(none.status.status, 'Failure');
    assert.match(none.status.message, /no such file/);
  },

  async 'sends standard input to its end'() {
    const data = Buffer.alloc(4 << 20, (i) => i).fill('0123456789abcdef');
    const chunks = Array.from({ length: 64 }, (_, i) => data.subarray(i << 16, (i + 1) << 16));
    const { status, stdout } = await exec(['sha256sum'], Readable.from(chunks));
    assert.equal(status.status, 'Success');
    assert.equal(stdout.text().split(' ')[0], createHash('sha256').update(data).digest('hex'));
  },

  async 'has a terminal'() {
    const stdin = new PassThrough();
    stdin.write('tty; exit 3\n');
    const { status, stdout } = await exec(['sh'], stdin, true);
    assert.match(stdout.text(), /\/dev\/pts\/\d/);
    assert.equal(status.details.causes[0].message, '3');
  },

  async 'attaches'() {
    const [stdout, stderr] = [collector(), collector()];
    const body = pod('echo', shell, ['cat']);
    Object.assign(body.spec.containers[0], { stdin: true, stdinOnce: true });
    body.spec.restartPolicy = 'Never';
    await core.createNamespacedPod({ namespace, body });
    await ready('echo');
    const stdin = new PassThrough();
    await new k8s.Attach(config).attach(namespace, 'echo', 'main', stdout, stderr, stdin, false);
    stdin.end('over and out\n');
    await until('it is answered', () => stdout.text() === 'over and out\n');
    const phase = async () => (await core.readNamespacedPod({ name: 'echo', namespace })).status.phase;
    await until('it ends with its input', async () => (await phase()) === 'Succeeded');
  },

  async 'copies files'() {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-js-'));
    const content = createHash('sha512').update('x').digest('hex').repeat(4096);
    writeFileSync(join(folder, 'note.txt'), content);
    const cp = new k8s.Cp(config);
    await cp.cpToPod(namespace, 'shell', 'main', folder, '/tmp');
    await until('it arrived', async () => (await exec(['cat', '/tmp/note.txt'])).stdout.text() === content);
    const back = join(folder, 'back');
    // the client asks for gzip but unpacks plain tar, so the pod's tar is told not to compress
    await exec(['sh', '-c', 'tar cf /tmp/note.tar -C /tmp note.txt']);
    const tarred = await exec(['cat', '/tmp/note.tar']);
    assert.equal(tarred.stdout.bytes().subarray(512, 512 + content.length).toString(), content);
    rmSync(folder, { recursive: true });
  },

  async 'reads logs'() {
    const text = await core.readNamespacedPodLog({ name: 'shell', namespace, tailLines: 2 });
    assert.equal(text, 'line 2\nline 3\n');
    const followed = collector();
    const controller = await new k8s.Log(config).log(namespace, 'shell', 'main', followed, { follow: true });
    await until('three lines', () => followed.text() === 'line 1\nline 2\nline 3\n');
    controller.abort();
  },

  async 'forwards a port'() {
    const [output, errors, input] = [collector(), collector(), new PassThrough()];
    const socket = await new k8s.PortForward(config).portForward(namespace, 'web', [80], output, errors, input);
    input.write('GET / HTTP/1.0\r\n\r\n');
    await until('an answer', () => output.text().endsWith('web v1\n'));
    assert.match(output.text(), /^HTTP\/1\.[01] 200 OK/);
    assert.equal(errors.text(), '');
    socket.close();
  },

  async 'uses any kind'() {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'any', namespace }, data: { a: '1' } };
    await objects.create(body);
    assert.equal((await objects.read(body)).data.a, '1');
    const changed = await objects.patch({ ...body, data: { a: '2' } }, undefined, undefined, undefined, undefined, k8s.PatchStrategy.MergePatch);
    assert.equal(changed.data.a, '2');
    const listed = await objects.list('v1', 'ConfigMap', namespace, undefined, undefined, undefined, 'metadata.name=any');
    assert.equal(listed.items.length, 1);
    await objects.delete(body);
    await refused(404, objects.read(body));
  },
};

await core.createNamespace({ body: { metadata: { name: namespace } } });
for (const [name, run] of Object.entries(cases)) {
  const started = Date.now();
  const limit = setTimeout(() => { console.error(`failed: ${name}: no end`); process.exit(1); }, LIMIT + 5000);
  try {
    await run();
  } catch (error) {
    console.error(`failed: ${name}:`, error);
    process.exit(1);
  }
  clearTimeout(limit);
  console.log(`ok ${name} ${Date.now() - started} ms`);
}
await core.deleteNamespace({ name: namespace });
console.log(`${Object.keys(cases).length} cases passed`);
process.exit(0);
