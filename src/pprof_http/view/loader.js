// Unpacks the page's script. The policy lets it run by its hash, as it does this one.
(async () => {
  const code = document.getElementById('code');
  const bytes = Uint8Array.from(atob(code.textContent), (letter) => letter.charCodeAt(0));
  const script = document.createElement('script');
  script.textContent = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
  code.replaceWith(script);
})();
