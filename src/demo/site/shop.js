// What any single-page application does: ask an API, show the answer.
document.getElementById("ask")?.addEventListener("click", async () => {
  const shown = document.getElementById("answer");
  const answer = await fetch("/api/me", { headers: { Accept: "application/json" } });
  shown.textContent = `${answer.status}\n${JSON.stringify(await answer.json(), null, 2)}`;
});
