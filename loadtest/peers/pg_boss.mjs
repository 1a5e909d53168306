// pg-boss (see loadtest/peers/__init__.py).
import { PgBoss } from "pg-boss";
import { run } from "./kit.mjs";

const T = JSON.parse(process.env.TRY ?? "{}");
const QUEUE = "noop";

async function start(options) {
  const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, schedule: false, ...options });
  boss.on("error", (error) => console.error(error));
  return boss.start();
}

async function setup() {
  const boss = await start({ supervise: false });
  await boss.createQueue(QUEUE, { notify: T.notify ?? true, partition: T.partition ?? false });
  await boss.stop();
}

async function open() {
  const boss = await start({ supervise: false, migrate: false, max: T.max ?? 10 });
  return {
    add: (at) => boss.send(QUEUE, { at }),
    addMany: (count) => boss.insert(QUEUE, Array.from({ length: count }, () => ({ data: { at: 0 } }))),
    close: () => boss.stop(),
  };
}

async function work(reporter) {
  const boss = await start({ migrate: false, useListenNotify: T.notify ?? true, max: T.wmax ?? 10 });
  const options = { batchSize: 500, burstWhenBatchFull: true, localConcurrency: 1, pollingIntervalSeconds: 0.5, ...T.work };
  await boss.work(QUEUE, options, async (jobs) => {
    for (const job of jobs) reporter.started(job.data.at);
    for (const _ of jobs) reporter.settled();
  });
}

await run({ open, work, setup });
