// A file from this machine to the server, in parts: the next one goes when the last one arrived.

function makeOwnFiles(stage, {say}) {
  const {model} = stage;
  let sending = null;  // {file, id, kind, at}
  let count = 0;

  function send(file, kind) {
    const {bytes} = model.whatif.limits;
    const size = (file.size / 1e6).toFixed(1);
    if (file.size > bytes) {
      sending = null;
      say(`${file.name}: the file is too large; expected at most ${bytes / 1e6} MB, got ${size} MB.`);
      return;
    }
    count += 1;
    sending = {file, kind, id: `${Date.now()}-${count}`, at: -1};
    const told = {id: sending.id, name: file.name, size: file.size, kind};
    model.send_msg({type: "own-begin", value: JSON.stringify(told)});
  }

  // The server says how much is there: {id, got, size}.
  function follow(upload) {
    if (!upload || !sending || upload.id !== sending.id || upload.got === sending.at) { return; }
    const {file, id} = sending;
    const at = sending.at = upload.got;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      if (sending?.id !== id || sending.at !== at) { return; }
      const data = String(reader.result).split(",", 2)[1] ?? "";
      model.send_msg({type: "own-part", value: JSON.stringify({id, at, data})});
    });
    reader.addEventListener("error", () => {
      sending = null;
      say(`${file.name} cannot be read.`);
    });
    reader.readAsDataURL(file.slice(at, at + model.whatif.limits.part));
  }
  return {send, follow, get name() { return sending?.file.name ?? ""; }};
}
