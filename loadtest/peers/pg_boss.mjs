// pg-boss (see loadtest/peers/__init__.py).
import { PgBoss } from "pg-boss";
import { run } from "./kit.mjs";

const QUEUE = "noop";
// Its NOTIFY lets one transaction commit at a time: more connections only wait for each other.
const QUEUING_CONNECTIONS = 4;

async function start(options) {
  const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, schedule: false, ...options });
  boss.on("error", (error) => console.error(error));
  return boss.start();
}

async function setup() {
  const boss = await start({ supervise: false });
  await boss.createQueue(QUEUE, { notify: true, partition: true });
  await boss.stop();
}

async function open() {
  const boss = await start({ supervise: false, migrate: false, max: QUEUING_CONNECTIONS });
  return {
    add: (at) => boss.send(QUEUE, { at }),
    addMany: (count) => boss.insert(QUEUE, Array.from({ length: count }, () => ({ data: { at: 0 } }))),
    close: () => boss.stop(),
  };
}

async function work(reporter) {
  const boss = await start({ migrate: false, useListenNotify: true });
  await boss.work(QUEUE, { batchSize: 1000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => {
    for (const job of jobs) reporter.started(job.data.at);
    // It tells nobody that a batch is completed, which is one statement from here.
    for (const _ of jobs) reporter.settled();
  });
}

await run({ open, work, setup });
