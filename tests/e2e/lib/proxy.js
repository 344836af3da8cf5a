import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** A wire between browsers and the server that can be cut: TCP connections are passed on until cut() is called. */
export class Proxy {
	static async start(targetUrl) {
		const proxy = new Proxy(new URL(targetUrl));
		proxy.listener.listen(0, '127.0.0.1');
		await once(proxy.listener, 'listening');
		proxy.url = `http://localhost:${proxy.listener.address().port}`;
		return proxy;
	}

	constructor(target) {
		this.isCut = this.isHeld = false;
		this.sockets = new Set();
		this.listener = createServer((near) => {
			if (this.isCut)
				return near.destroy();
			if (this.isHeld)
				return this.#hold(near);
			const far = connect(target.port, target.hostname);
			this.#join(near, far);
			this.#join(far, near);
		});
	}

	#join(from, to) {
		this.sockets.add(from);
		from.on('error', () => to.destroy());
		from.on('close', () => {
			this.sockets.delete(from);
			to.destroy();
		});
		from.pipe(to);
	}

	#hold(near) {
		this.sockets.add(near);
		near.on('error', () => {});
	}

	/** From now on connections are taken, and nothing is passed on; resolves with the first. */
	hold() {
		this.isHeld = true;
		return once(this.listener, 'connection');
	}

	cut() {
		this.isCut = true;
		for (const socket of this.sockets)
			socket.destroy();
	}

	mend() {
		this.isCut = this.isHeld = false;
	}

	async stop() {
		this.cut();
		this.listener.close();
		await once(this.listener, 'close');
	}
}
