import { writeFileSync } from 'node:fs';

const RATE_HZ = 48000;
const AMPLITUDE = 0.25;

/** Writes a mono WAV of one second that can be looped without a click: hz is a whole number. */
export function writeTone(path, hz) {
	const data = Buffer.alloc(RATE_HZ * 2);
	for (let i = 0; i < RATE_HZ; i++)
		data.writeInt16LE(Math.round(AMPLITUDE * 32767 * Math.sin((2 * Math.PI * hz * i) / RATE_HZ)), i * 2);

	const header = Buffer.alloc(44);
	header.write('RIFF', 0);
	header.writeUInt32LE(36 + data.length, 4);
	header.write('WAVEfmt ', 8);
	header.writeUInt32LE(16, 16);
	header.writeUInt16LE(1, 20); // PCM
	header.writeUInt16LE(1, 22); // channels
	header.writeUInt32LE(RATE_HZ, 24);
	header.writeUInt32LE(RATE_HZ * 2, 28);
	header.writeUInt16LE(2, 32);
	header.writeUInt16LE(16, 34);
	header.write('data', 36);
	header.writeUInt32LE(data.length, 40);
	writeFileSync(path, Buffer.concat([header, data]));
}
