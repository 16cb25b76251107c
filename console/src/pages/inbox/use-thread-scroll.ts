import { type RefObject, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "react";

/** Commands for a thread from other components. */
export interface ThreadHandle {
  toEnd: () => void;
}

/** Maximum distance from the end that counts as the end, in pixels. */
const NEAR_END_PX = 48;

/**
 * Keeps the place in a thread. At its end, new messages scroll in; elsewhere nothing moves, and they are counted. Older
 * messages above push nothing down. `ids` are those of the messages, oldest first. `handle` lets others scroll.
 */
export function useThreadScroll(ids: readonly string[], handle: RefObject<ThreadHandle | null>) {
  const container = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const shown = useRef<{ first: string; height: number } | null>(null);
  const [lastSeen, setLastSeen] = useState<string | null>(null);
  const first = ids[0] ?? null;
  const last = ids.at(-1) ?? null;

  const toEnd = useCallback(() => {
    const box = container.current;
    isAtEnd.current = true;
    if (box !== null) box.scrollTop = box.scrollHeight;
  }, []);

  useImperativeHandle(handle, () => ({ toEnd }), [toEnd]);

  const onScroll = () => {
    const box = container.current;
    if (box === null) return;
    isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
    if (isAtEnd.current) setLastSeen(last);
  };

  useLayoutEffect(() => {
    const box = container.current;
    if (box === null || first === null) return;
    const before = shown.current;
    if (isAtEnd.current) toEnd();
    else if (before !== null && before.first !== first) box.scrollTop += box.scrollHeight - before.height;
    shown.current = { first, height: box.scrollHeight };
  }, [first, last, toEnd]);

  // A growing answer makes the thread lower: its end stays in sight.
  useEffect(() => {
    const box = container.current;
    if (box === null) return undefined;
    const observer = new ResizeObserver(() => {
      if (isAtEnd.current) toEnd();
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, [toEnd]);

  const seenAt = lastSeen === null ? -1 : ids.indexOf(lastSeen);
  const unseen = seenAt === -1 ? 0 : ids.length - 1 - seenAt;
  return { container, onScroll, toEnd, unseen };
}
