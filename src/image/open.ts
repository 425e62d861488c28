// Opens an image of physical memory: finds out what it is and picks the reader.
//
// Guarantees: an image that opens can be read; what is wrong with part of it stands in `problems`, and the rest is there.

import { type PhysicalAddress, physicalAddress } from '../units.ts';
import { openSource } from './file.ts';
import { gunzip, isGzip } from './gunzip.ts';
import type { Image, ImageOptions } from './image.ts';
import { PTPG_MAGIC, ptpgImage } from './ptpg.ts';
import { rawImage } from './raw.ts';
import { type ByteSource, ImageError, sourceOf } from './source.ts';

/** Opens the image in a file (Node). @throws ImageError naming the path, what is wrong and where. */
export async function openImage(path: string, options: ImageOptions = {}): Promise<Image> {
  return imageFrom(await openSource(path), options);
}

/** The image in `bytes`, which must not change while it is used. @throws ImageError naming what is wrong and where. */
export async function imageOf(bytes: Uint8Array, options: ImageOptions & { name?: string } = {}): Promise<Image> {
  return imageFrom(sourceOf(bytes, options.name ?? 'image'), options);
}

async function imageFrom(source: ByteSource, options: ImageOptions): Promise<Image> {
  try {
    if (source.sizeBytes === 0) throw new ImageError(`${source.name}: empty: there are no bytes in it`);
    const head = source.read(0, 8);
    if (options.kind === 'raw') return rawImage(source, options.base ?? (0n as PhysicalAddress));
    if (isGzip(head)) return await gzippedImage(source);
    if (options.kind === 'ptpg' || startsWith(head, PTPG_MAGIC)) return ptpgImage(source);
    refuseKnown(source.name, head);
    return rawImage(source, options.base ?? physicalAddress(0));
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function gzippedImage(source: ByteSource): Promise<Image> {
  const compressed = source.read(0, source.sizeBytes);
  const { bytes, problem } = await gunzip(compressed, (head) => startsWith(head, PTPG_MAGIC));
  await source.close();
  const broken = problem === undefined ? '' : `: the gzip data ends early or is damaged (${problem})`;
  if (!startsWith(bytes, PTPG_MAGIC)) {
    const hint = 'no PTPG capture in the gzip data; decompress a raw image first';
    throw new ImageError(`${source.name}${broken === '' ? `: ${hint}` : broken}`);
  }
  const image = ptpgImage(sourceOf(bytes, source.name));
  return broken === '' ? image : { ...image, problems: [`${source.name}${broken}`, ...image.problems] };
}

/** Formats that hold physical memory in another arrangement: reading them as raw would only mislead. */
const KNOWN: readonly (readonly [magic: string, what: string])[] = [
  ['\x7fELF', 'an ELF file (a core dump?)'],
  ['EMiL', 'a LiME dump'],
  ['KDUMP   ', 'a compressed kdump file'],
  ['QEVM', 'a saved QEMU machine state'],
  ['\x28\xb5\x2f\xfd', 'compressed with zstd; decompress it first'],
  ['\xfd7zXZ', 'compressed with xz; decompress it first'],
];

function refuseKnown(name: string, head: Uint8Array): void {
  for (const [magic, what] of KNOWN) {
    if (startsWith(head, magic)) throw new ImageError(`${name}: is ${what}, not an image of type raw or ptpg`);
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && [...text].every((c, i) => bytes[i] === c.charCodeAt(0));
}
