// Pages work without this: it writes times in the zone of who reads them, with UTC on hover.
(() => {
  const wrote = new WeakSet();
  const form = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const localize = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      if (wrote.has(time) && !time.textContent.endsWith("UTC")) continue;
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      if (!time.title) time.title = time.textContent;
      time.textContent = form.format(at);
      wrote.add(time);
    }
  };
  localize();
  document.addEventListener("htmx:after:swap", localize);
})();
