// Kernel paths that take rights, beside two threads on real workers that store, load and fault: what they promise holds at full speed, for the machines
// that promise it. Each check is shown to bark at the variant that breaks the promise. Seeds are printed; interleavings are the machine's.

import { describe, expect, test } from 'vitest';
import { layout } from '../support/core.ts';
import { PAGE, PRIVATE, SHARED } from '../support/mm.ts';
import { type MACHINES, SEED, Users, type UsersOptions } from '../support/users.ts';

console.log(`PAGEWALK_SEED=${SEED}`);
const MILLISECONDS = 300;
/** How long a twin may take until it is caught; most take less than a second. */
const PATIENCE = 60_000;
const { HANDLER_MKWRITE_HELD, HANDLER_MKWRITE_LINUX, HANDLER_MKWRITE_NONE } = layout;

interface Scenario {
  users: UsersOptions;
  /** Variants of the path, as its options. */
  path?: number;
  /** One round; a complaint if a promise was broken. Threads go on meanwhile. */
  round: (users: Users, path: number, n: number) => string | undefined;
}

async function run({ users: options, path = 0, round }: Scenario, milliseconds: number, balances: boolean) {
  const users = await Users.start(options);
  const { errors } = await users.run(milliseconds, (n) => round(users, path, n));
  if (balances) users.balance();
  return { errors };
}

/** Holds with each machine, and barks with each twin. */
function holdsAndBarks(
  scenario: Scenario,
  machines: (keyof typeof MACHINES)[],
  twins: Record<string, { users?: UsersOptions; path?: number }>,
): void {
  test.each(machines)('%s: holds', { timeout: 30_000 }, async (machine) => {
    const users = { ...scenario.users, machine };
    const { errors } = await run({ ...scenario, users }, MILLISECONDS, true);
    expect(errors).toEqual([]);
  });
  for (const [name, twin] of Object.entries(twins)) {
    test(`the check barks: ${name}`, { timeout: 90_000 }, async () => {
      const users = { ...scenario.users, ...twin.users };
      const { errors } = await run({ ...scenario, path: twin.path ?? 0, users }, PATIENCE, false);
      expect(errors.length).toBeGreaterThan(0);
    });
  }
}

/** Lets the threads go on; which pages did they store to, by stores that began after the path had returned? */
function storedSince(users: Users, epoch: number): number[] {
  users.begin(epoch);
  users.pause();
  return users.wroteIn(epoch);
}

describe('clear_refs: a store after it has returned is seen by pagemap', () => {
  const round = (users: Users, path: number, n: number) => {
    const { scene, core, mm } = users;
    scene.prepare();
    core.clearRefs(scene.self, mm, 0n, (1n << 64n) - 1n, scene.path, path);
    const stored = storedSince(users, n);
    scene.prepare(users.va >> 12n);
    core.pagemapSoftDirty(scene.self, mm, users.va, users.last, scene.path);
    const told = scene.bits();
    const missed = stored.filter((page) => !told.includes(page));
    return missed.length === 0 ? undefined : `pages ${missed} were stored to, pagemap tells ${told}`;
  };
  holdsAndBarks({ users: {}, round }, ['recheck', 'swdirty', 'nowcheck'], {
    'the flush is left to a gather that was told of nothing (D1)': { path: layout.CLEAR_REFS_GATHER },
  });
});

describe('mprotect to read-only: no store that begins after it has returned is made', () => {
  const round = (users: Users, path: number, n: number) => {
    const { scene, core, mm, va, last } = users;
    const protect = (rights: number, options: number) => {
      scene.prepare();
      core.mprotect(scene.self, mm, va, last, rights, scene.path, options);
    };
    protect(layout.VM_READ, path);
    const stored = storedSince(users, n);
    users.begin(-n);
    protect(layout.VM_READ | layout.VM_WRITE, 0);
    users.pause();
    return stored.length === 0 ? undefined : `pages ${stored} were stored to`;
  };
  holdsAndBarks({ users: {}, round }, ['recheck', 'nowcheck'], { 'no flush': { path: layout.PATH_NO_FLUSH } });
});

describe('UFFDIO_WRITEPROTECT: no store that begins after it has returned is made until it is resolved', () => {
  const round = (users: Users, path: number, n: number) => {
    const { scene, core, mm, va, last } = users;
    // Pages that nobody has touched yet are not marked: only those that are mapped are looked at.
    const mapped = Array.from({ length: users.pages }, (_, page) => page).filter(
      (page) => users.frameAt(page) !== undefined,
    );
    scene.prepare();
    core.uffdWriteProtect(scene.self, mm, va, last, scene.path, path);
    const stored = storedSince(users, n).filter((page) => mapped.includes(page));
    users.begin(-n);
    scene.prepare();
    core.uffdWriteProtect(scene.self, mm, va, last, scene.path, layout.UFFD_WP_RESOLVE);
    users.pause();
    return stored.length === 0 ? undefined : `pages ${stored} were stored to`;
  };
  const users = { flags: PRIVATE | layout.VM_UFFD_WP };
  holdsAndBarks({ users, round }, ['recheck', 'swdirty'], { 'no flush': { path: layout.PATH_NO_FLUSH } });
});

/** Word of `user` on page `page` of the device's copy, as the counter that it is. */
function uploaded({ scene, driver, pages }: Users): number[] {
  const device = scene.u32(driver + layout.DRIVER_DEVICE);
  const stride = scene.u32(driver + layout.DRIVER_STRIDE);
  return Array.from({ length: 2 * pages }, (_, n) => {
    const [user, page] = [Math.floor(n / pages), n % pages];
    return Number(scene.u64(device + page * stride + 8 * user) & 0xffffffffn);
  });
}

const recorded = ({ scene, driver }: Users, page: number) =>
  (scene.u64(scene.u32(driver + layout.DRIVER_RECORD)) >> BigInt(page)) & 1n;

describe.each([
  ['page_mkwrite', 'page', HANDLER_MKWRITE_LINUX],
  ['pfn_mkwrite', 'pfn', HANDLER_MKWRITE_HELD],
] as const)(
  'a driver’s cycle with %s: what was stored before it is uploaded, what is stored after it is recorded (A)',
  (_name, file, policy) => {
    const round = (users: Users, path: number, n: number) => {
      const { scene, core } = users;
      const before = users.completed();
      scene.prepare();
      core.transferFile(scene.self, users.file, scene.path, path);
      const device = uploaded(users);
      const lost = before.findIndex((counter, at) => (device[at] as number) < counter);
      if (lost >= 0) return `store ${before[lost]} to page ${lost % users.pages} was missed: ${device[lost]}`;
      const unknown = storedSince(users, n).filter((page) => recorded(users, page) === 0n);
      return unknown.length === 0 ? undefined : `pages ${unknown} were stored to and are not recorded`;
    };
    const flags = SHARED | layout.VM_WRITENOTIFY | (file === 'pfn' ? layout.VM_PFNMAP : 0);
    const users: UsersOptions = { file, flags, policy };
    holdsAndBarks({ users, round }, ['recheck', 'swdirty'], {
      'no lock over page_mkwrite and pfn_mkwrite (A1)': { users: { policy: HANDLER_MKWRITE_NONE, build: 'chaos' } },
      'no flush after the write-protection': { path: layout.PATH_NO_FLUSH },
    });
  },
);

describe('write-back: what was stored before it is stored, or marked dirty (D, F)', () => {
  const round = (users: Users, path: number) => {
    const { scene, core, mm } = users;
    for (let page = 0; page < users.pages; page++) {
      const held = users.hold(page);
      if (held === undefined) continue;
      const before = users.completed();
      scene.prepare();
      core.writeBackFolio(scene.self, held.folio, scene.path, path);
      const backing = core.storedPage(users.file, page) >>> 0;
      const stored = [0, 1].map((user) => Number(scene.u64(backing + 8 * user) & 0xffffffffn));
      const lost = stored.some((counter, user) => counter < (before[user * users.pages + page] as number));
      const pte = scene.pte(mm, users.va + BigInt(page) * PAGE);
      const dirty = (scene.flags(held.folio) & layout.PG_DIRTY) !== 0 || core.pteDirty(pte) !== 0;
      core.putFolio(held.folio);
      if (lost && !dirty) return `page ${page} has ${stored} in store`;
    }
    users.pause(500);
    return undefined;
  };
  const users: UsersOptions = { file: 'no-driver', flags: SHARED | layout.VM_WRITENOTIFY };
  holdsAndBarks({ users, round }, ['recheck', 'swdirty', 'nowcheck'], {
    'no flush of what was cleaned': { path: layout.PATH_NO_FLUSH },
  });
});
