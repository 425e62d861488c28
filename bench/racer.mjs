// A thread that races, bound to the processor that it is given where taskset(1) is there: two threads that Linux has put on one processor wake each
// other there, and may stay for as long as they race, at a quarter of the speed.

import { spawnSync } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { workerData } from 'node:worker_threads';

if (existsSync('/proc/thread-self')) {
  const thread = basename(readlinkSync('/proc/thread-self'));
  spawnSync('taskset', ['--cpu-list', '--pid', String(workerData.processor), thread], { stdio: 'ignore' });
}
await import('../build/worker.js');
