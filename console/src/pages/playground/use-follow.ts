import { type RefObject, useEffect } from "react";

/** Maximum distance upwards that does not count as reading elsewhere, in pixels. */
const NEAR_PX = 24;
/** Room above a long reply, in pixels. */
const MARGIN_PX = 16;

/**
 * Keeps the newest turn of a conversation in view while its reply arrives: its end, or its beginning where it is higher than
 * the window. Nothing moves once the reader has scrolled up, until a new turn begins. `id` is that of the newest turn.
 */
export function useFollow(newest: RefObject<HTMLElement | null>, id: number | null): void {
  useEffect(() => {
    const turn = newest.current;
    const box = scrollingParentOf(turn);
    if (turn === null || box === null) return undefined;
    let isFollowing = true;
    let place = 0;
    const follow = () => {
      if (!isFollowing) return;
      const beginning = box.scrollTop + turn.getBoundingClientRect().top - box.getBoundingClientRect().top - MARGIN_PX;
      box.scrollTop = Math.min(box.scrollHeight - box.clientHeight, beginning);
      place = box.scrollTop;
    };
    const onScroll = () => {
      // What became lower moves up by itself, to its end.
      const isAtEnd = box.scrollHeight - box.clientHeight - box.scrollTop < NEAR_PX;
      isFollowing = isAtEnd || box.scrollTop > place - NEAR_PX;
    };
    const observer = new ResizeObserver(follow);
    observer.observe(turn);
    box.addEventListener("scroll", onScroll);
    return () => {
      observer.disconnect();
      box.removeEventListener("scroll", onScroll);
    };
  }, [newest, id]);
}

function scrollingParentOf(element: HTMLElement | null): HTMLElement | null {
  for (let box = element?.parentElement ?? null; box !== null; box = box.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(box).overflowY)) return box;
  }
  return null;
}
