// What the Node scripts of all peers share (see loadtest/peers/__init__.py): the same as kit.py.
import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const IN_FLIGHT = 64; // calls at a time that submit single jobs
const BULK_IN_FLIGHT = 4;
const BULK_JOBS = 500;
const WARMUP_SECONDS = 0.5;
const REPORT_MS = 50;
const REPORT_WAITS = 150; // numbers a line, so that a line stays below what the kernel appends in one piece
const LATE_SECONDS = 0.002;

export const now = () => (performance.timeOrigin + performance.now()) / 1000; // Unix seconds

/** Tells the benchmark what this process has done: a line of JSON in the file BENCH_REPORT every 50 ms. */
export class Reporter {
  #file = openSync(process.env.BENCH_REPORT, "a");
  #count = 0;
  #first = 0;
  #last = 0;
  #waits = [];

  constructor() {
    setInterval(() => this.#flush(), REPORT_MS);
  }

  /** A handler has begun; `at` is what its job carries. */
  started(at) {
    if (at) this.#waits.push(now() - at);
  }

  /** The end of a job is written to where the peer keeps it. */
  settled() {
    this.#last = now();
    this.#first ||= this.#last;
    this.#count += 1;
  }

  #flush() {
    do {
      const waits = this.#waits.splice(0, REPORT_WAITS);
      const told = { pid: process.pid, count: this.#count, first: this.#first, last: this.#last, waits };
      if (this.#count || waits.length) writeSync(this.#file, JSON.stringify(told) + "\n");
    } while (this.#waits.length);
  }
}

/**
 * Do what the command line says. `open()` gives a client { add(at), addMany(count), close() }: every job carries `at`, which
 * its handler gives to `Reporter.started` first of all. `work(reporter)` runs a worker for ever. `setup()` prepares an empty store.
 */
export async function run({ open, work, setup = async () => {} }) {
  const verb = process.argv[2];
  const numbers = process.argv.slice(3).map(Number);
  if (verb === "work") return void (await work(new Reporter()));
  if (verb === "setup") return void (await setup());
  const client = await open();
  const result = await { fill, submit, bulk, pace }[verb](client, ...numbers);
  await client.close();
  if (result) process.stdout.write(JSON.stringify(result));
}

async function fill(client, count) {
  let left = count;
  await together(BULK_IN_FLIGHT, async () => {
    while (left > 0) {
      const size = Math.min(BULK_JOBS, left);
      left -= size;
      await client.addMany(size);
    }
  });
}

const submit = (client, seconds) => closedLoop(() => client.add(0), 1, IN_FLIGHT, seconds);
const bulk = (client, seconds) => closedLoop(() => client.addMany(BULK_JOBS), BULK_JOBS, BULK_IN_FLIGHT, seconds);

/**
 * Each of `inFlight` callers makes its next call when its last one is done. A call counts with the share of it that lies in
 * the counted time: a slow peer makes few bulk calls, whole ones would count by chance.
 */
async function closedLoop(call, jobs, inFlight, seconds) {
  const begin = now() + WARMUP_SECONDS;
  const end = begin + seconds;
  let calls = 0;
  await together(inFlight, async () => {
    while (now() < end) {
      const since = now();
      await call();
      const until = now();
      const within = Math.min(until, end) - Math.max(since, begin);
      if (within > 0) calls += within / (until - since);
    }
  });
  return { rate: (calls * jobs) / seconds };
}

/** Call every 1 / rate seconds, whether or not earlier calls are done. */
async function pace(client, rate, seconds) {
  const begin = now();
  const calls = [];
  for (let number = 0; number < rate * seconds; number += 1) {
    const due = begin + number / rate;
    if (due > now()) await sleep((due - now()) * 1000);
    const late = now() - due > LATE_SECONDS; // a generator that has fallen behind counts from when the job was due
    calls.push(client.add(late ? due : now()));
  }
  await Promise.all(calls);
}

const together = (count, one) => Promise.all(Array.from({ length: count }, one));
