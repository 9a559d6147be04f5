// Scenes of a browser test: each plays by itself, and a failure of one does not keep the others from being played.

/** Plays scenes by name, one after another. Prints what became of each and a summary; returns how many failed. */
export async function play(scenes) {
  const all = Object.entries(scenes);
  let failed = 0;
  for (const [name, scene] of all) {
    try {
      await scene();
      console.log(`ok    ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}\n      ${String(error.message ?? error).replaceAll("\n", "\n      ")}`);
    }
  }
  console.log(`${all.length - failed} passed, ${failed} failed`);
  return failed;
}
