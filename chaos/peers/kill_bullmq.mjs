// BullMQ with its defaults (see chaos/peers/__init__.py), run next to its packages.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue, Worker } from "bullmq";
import IORedis from "ioredis";

const CONCURRENCY = 10; // the default is 1
const connection = new IORedis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const note = (line) => appendFileSync(process.env.CHAOS_RECORD, `${line}\n`);

async function task(job) {
  note(`start ${job.data.number}`);
  await sleep(2000);
  note(`end ${job.data.number}`);
}

if (process.argv[2] === "work") {
  new Worker("kill", task, { connection, concurrency: CONCURRENCY });
} else {
  const queue = new Queue("kill", { connection });
  for (let number = 0; number < Number(process.argv[3]); number += 1) await queue.add("task", { number });
  await queue.close();
  await connection.quit();
}
