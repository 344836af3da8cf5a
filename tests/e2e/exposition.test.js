/* web-demo/exposition.js by itself: what it reads out of Prometheus' text format, and how counters become rates. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

// Not by its path: for an old Node a .js file is a module only where a package.json says so.
const source = readFileSync(new URL('../../web-demo/exposition.js', import.meta.url));
const { Exposition, History } = await import(`data:text/javascript;base64,${source.toString('base64')}`);

const TEXT = `# HELP x words {a="b"} 3
# TYPE x counter
x 3
started 0
y{shard="0",reason="a"} 1
y{shard="1",reason="a"} 2.5e1
y{shard="0",reason="b"} 4 1700000000000
z{words="a \\"quoted\\", \\\\ and\\nbroken one, with } in it"} 1
hot{cause="cpu"} 0
hot{cause="memory"} 1
h_bucket{le="+Inf"} +Inf
`;

describe('an exposition', () => {
	const look = new Exposition(TEXT, 0);

	it('has values, sums, and values by label', () => {
		assert.equal(look.value('x'), 3);
		assert.equal(look.value('y'), 30);
		assert.equal(look.value('y', { shard: '0' }), 5);
		assert.equal(look.value('y', { shard: '2' }), null);
		assert.equal(look.value('none'), null);
		assert.deepEqual([...look.by('y', 'reason')], [['a', 26], ['b', 4]]);
		assert.equal(look.which('hot', 'cause'), 'memory');
		assert.equal(look.value('h_bucket'), Infinity);
	});

	it('reads labels that are escaped', () => {
		assert.deepEqual(look.all('z'), [{ labels: { words: 'a "quoted", \\ and\nbroken one, with } in it' }, value: 1 }]);
	});

	it('passes over what it does not understand', () => {
		assert.equal(new Exposition('<html>\n{}\n x\nx', 0).value('x'), null);
	});
});

describe('a history', () => {
	const look = (count, atMs, started = 7) => new Exposition(`process_start_time_seconds ${started}\nc ${count}\n`, atMs);

	it('knows no rate at its first look', () => {
		const history = new History(60000);
		assert.equal(history.rate('c', 5000), null);
		history.add(look(5, 0));
		assert.equal(history.rate('c', 5000), null);
	});

	it('tells rates over the time asked for, and not over what it has', () => {
		const history = new History(60000);
		[0, 10, 20, 30, 1030].forEach((count, second) => history.add(look(count, second * 1000)));
		assert.equal(history.rate('c', 1000), 1000);
		assert.equal(history.rate('c', 4000), 257.5);
		assert.equal(history.growth('c', 4000), 1030);
		assert.equal(history.rate('none', 1000), null);
	});

	it('tells of a histogram what lately came into it', () => {
		const h = (first, second, all) => `process_start_time_seconds 7
h_bucket{shard="0",le="0.1"} ${first}
h_bucket{shard="1",le="0.1"} 0
h_bucket{shard="0",le="0.2"} ${second}
h_bucket{shard="1",le="0.2"} 0
h_bucket{shard="0",le="+Inf"} ${all}
h_bucket{shard="1",le="+Inf"} 0
`;
		const history = new History(60000);
		history.add(new Exposition(h(1000, 1000, 1000), 0));
		assert.equal(history.quantile('h', 0.5, 5000), null);
		history.add(new Exposition(h(1000, 1000, 1000), 1000));
		assert.equal(history.quantile('h', 0.5, 5000), null, 'nothing came');
		history.add(new Exposition(h(1050, 1099, 1100), 2000));
		assert.deepEqual([0.5, 0.9, 0.99, 1].map((share) => history.quantile('h', share, 5000)), [0.1, 0.2, 0.2, Infinity]);
	});

	it('begins anew with the server', () => {
		const history = new History(60000);
		history.add(look(1000, 0));
		history.add(look(3, 1000, 8));
		assert.equal(history.growth('c', 5000), null);
		history.add(look(5, 2000, 8));
		assert.equal(history.growth('c', 5000), 2);
	});

	it('keeps no more than it must', () => {
		const history = new History(3000);
		for (let second = 0; second < 100; second++) history.add(look(second, second * 1000));
		assert.equal(history.growth('c', Infinity), 3);
	});
});
