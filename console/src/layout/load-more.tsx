import { useTexts } from "@/texts";
import { Button } from "@/ui/button";

/** What `useInfiniteQuery` knows of the pages that are still to come. */
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
