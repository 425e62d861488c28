// Many translations in one call: addresses in, result words out, as typed arrays over the core's memory.
//
// Guarantees: no call makes a BigInt or any other object. The arrays stay valid until the batch is disposed of.

import { ACCESS_TOUCH } from '../../assembly/layout.ts';
import type { Vpn } from '../units.ts';
import { type Access, accessBits, decodeResult, type Translation } from './results.ts';
import type { AddressSpace } from './space.ts';

export interface BatchOptions {
  /** The access to judge; without one, the mapping, whoever may use it. */
  readonly access?: Access;
  /** Set A and D as the access would. Default false. */
  readonly touch?: boolean;
}

export class Batch {
  /** Virtual addresses to translate; fill in the first `count`. */
  readonly addresses: BigUint64Array;
  /** The same memory as pairs of 32 bits, low word first, for filling in without a BigInt. */
  readonly addressWords: Uint32Array;
  /** Result words, one for each address; `decode` reads one. */
  readonly results: BigUint64Array;
  /** The same memory as pairs of 32 bits, low word first. */
  readonly resultWords: Uint32Array;
  readonly capacity: number;
  readonly #space: AddressSpace;
  readonly #input: number;
  readonly #output: number;
  #disposed = false;

  /** See `AddressSpace.batch`. @internal */
  constructor(space: AddressSpace, capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 2 ** 27) {
      throw new RangeError(`"capacity" must be from 1 to 2^27, got ${capacity}`);
    }
    const { memory } = space;
    this.#space = space;
    this.capacity = capacity;
    this.#input = memory.heapAllocate(16 * capacity);
    this.#output = this.#input + 8 * capacity;
    const { buffer } = memory.view;
    this.addresses = new BigUint64Array(buffer, this.#input, capacity);
    this.addressWords = new Uint32Array(buffer, this.#input, 2 * capacity);
    this.results = new BigUint64Array(buffer, this.#output, capacity);
    this.resultWords = new Uint32Array(buffer, this.#output, 2 * capacity);
  }

  /** Translates the first `count` addresses. Returns how many are mapped. */
  translate(count: number, options: BatchOptions = {}): number {
    this.#check(count);
    const bits = accessBits(options.access) | (options.touch ? ACCESS_TOUCH : 0);
    return this.#space.memory.core.translateBatch(this.#space.handle, this.#input, this.#output, count, bits) >>> 0;
  }

  /** Translates `count` pages in a row from `first`; `addresses` is not read. Returns how many are mapped. */
  translateRange(first: Vpn, count: number, options: BatchOptions = {}): number {
    this.#check(count);
    const bits = accessBits(options.access) | (options.touch ? ACCESS_TOUCH : 0);
    return this.#space.memory.core.translateRange(this.#space.handle, first, count, this.#output, bits) >>> 0;
  }

  /** Result `n` as a union. */
  decode(n: number): Translation {
    const word = this.results[n];
    if (word === undefined) throw new RangeError(`"n" must be below ${this.capacity}, got ${n}`);
    return decodeResult(word);
  }

  /** Gives the memory of the arrays back: do not use them afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#space.memory.core.heapFree(this.#input);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #check(count: number): void {
    if (this.#disposed) throw new Error('this batch was disposed of');
    if (!Number.isInteger(count) || count < 0 || count > this.capacity) {
      throw new RangeError(`"count" must be from 0 to ${this.capacity}, got ${count}`);
    }
  }
}
