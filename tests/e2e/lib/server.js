import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DEFAULT_BINARY = fileURLToPath(new URL('../../../build/release/plenum', import.meta.url));
const READY_MS_MAX = 20000;
const STOP_MS_MAX = 10000;

/** The real server in a process of its own, on ports that nobody else has. */
export class Server {
	/** @param {{settings?: Record<string, string>}} [options] settings: keys of the configuration over the test's own. */
	static async start({ settings = {} } = {}) {
		// A machine that runs browsers is under pressure: what a server takes away then is the matter of tests of their own.
		const all = { 'http.listen': '127.0.0.1:0', 'media.port': '0', 'pressure.level': 'nominal', 'drain.deadline_s': '0', ...settings };
		const args = Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
		const server = new Server(spawn(process.env.PLENUM_SERVER ?? DEFAULT_BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
		await server.#ready();
		return server;
	}

	constructor(child) {
		this.child = child;
		this.log = [];
		process.on('exit', () => child.kill('SIGKILL')); // a test that broke stops nothing
		this.exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
	}

	/** Reads until both the address and "ready in" were said. */
	#ready() {
		return new Promise((resolve, reject) => {
			const fail = (why) => reject(new Error(`the server ${why}; it said:\n${this.log.join('\n')}`));
			const timer = setTimeout(() => fail('was not ready in time'), READY_MS_MAX);
			this.exited.then(({ code, signal }) => fail(`ended at its start (${code ?? signal})`), fail);
			const read = (line) => {
				this.log.push(line);
				this.url ??= /https?:\/\/[^\s/]+/.exec(line)?.[0];
				this.readyMs ??= Number(/ready in ([\d.]+) ms/.exec(line)?.[1]) || undefined;
				if (this.url && this.readyMs !== undefined) {
					clearTimeout(timer);
					resolve();
				}
			};
			createInterface({ input: this.child.stdout }).on('line', read);
			createInterface({ input: this.child.stderr }).on('line', read);
		});
	}

	/** Ends it as a crash would: nobody is told. */
	async kill() {
		this.child.kill('SIGKILL');
		await this.exited;
	}

	/** Asks it to end (SIGTERM) and returns how it ended: {code, signal}. */
	async stop() {
		this.child.kill('SIGTERM');
		const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS_MAX);
		const end = await this.exited;
		clearTimeout(timer);
		return end;
	}
}
