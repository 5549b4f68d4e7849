// A bot in TypeScript that knows Weave and not llmwatch. Where its rows go is said by three variables of its environment.
import {init, op} from 'weave';

await init('local/example-typescript');

const retrieve = op(async function retrieve(question: string): Promise<string[]> {
  return question.includes('key') ? ['Open the security page.', 'Press reset.'] : [];
});

const answer = op(async function answer(question: string): Promise<string> {
  const documents = await retrieve(question);
  if (documents.length === 0) throw new Error('nothing was found');
  return documents.join(' ');
});

for (const question of ['How do I reset my key?', 'What does it cost?']) {
  try {
    console.log(`${question} ${await answer(question)}`);
  } catch (error) {
    console.log(`${question} (${(error as Error).message})`);
  }
}
