import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

/** The fields of `useInfiniteQuery` about further pages. */
interface More {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** The button below a list of which more is to come. */
export function LoadMore({ list }: { list: More }) {
  const { common } = useTexts();
  if (!list.hasNextPage) return null;
  return (
    <Button variant="outline" className="justify-self-center" isBusy={list.isFetchingNextPage} onClick={() => list.fetchNextPage()}>
      {common.more}
    </Button>
  );
}
