import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { FileUp, Package, Plus, SearchX } from "lucide-react";
import { lazy, Suspense } from "react";

import { OwnersOnly } from "@/layout/owners-only";
import { Page } from "@/layout/page";
import { Pager } from "@/layout/pager";
import { SearchField } from "@/layout/search-field";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { defined, oneOf } from "@/lib/search";
import { useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Select } from "@/ui/input";

import { ProductTable } from "./product-table";
import { productsQuery } from "./queries";
import { productsRoute } from "./route";
import { FILTERS, type ProductsSearch, SORTS } from "./search";

/** The form and its checks are loaded when they are needed. */
const ProductDialog = lazy(async () => ({ default: (await import("./product-dialog")).ProductDialog }));

export function ProductsPage() {
  const { products } = useTexts("products");
  return useIsOwner() ? <Products /> : <OwnersOnly title={products.title}>{products.ownersOnly}</OwnersOnly>;
}

function Products() {
  const { products, common } = useTexts("products");
  const search = productsRoute.useSearch();
  const list = useQuery(productsQuery(search));
  const isEmpty = list.data?.data.length === 0;
  const isFiltered = [search.search, search.status, search.page].some((value) => value !== undefined);
  return (
    <Page title={products.title} lead={products.lead} actions={<Actions />}>
      <Filters />
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {isEmpty && isFiltered && (
        <EmptyState
          icon={SearchX}
          title={common.noMatch}
          action={
            <Button variant="outline" asChild>
              <Link to="/products">{common.clearFilters}</Link>
            </Button>
          }
        />
      )}
      {isEmpty && !isFiltered && (
        <EmptyState icon={Package} title={products.empty}>
          <p>{products.emptyHint}</p>
        </EmptyState>
      )}
      {list.data && !isEmpty && (
        <>
          <ProductTable products={list.data.data} isStale={list.isPlaceholderData} />
          <Pager meta={list.data.meta} />
        </>
      )}
      <Suspense>{search.product !== undefined && !list.isError && <ProductDialog key={search.product} id={search.product} />}</Suspense>
    </Page>
  );
}

function Actions() {
  const { products } = useTexts("products");
  return (
    <>
      <Button variant="outline" asChild>
        <Link to="/products/import">
          <FileUp aria-hidden />
          {products.import}
        </Link>
      </Button>
      <Button asChild>
        <Link from="/products" to="/products" search={(previous) => ({ ...previous, product: "new" })}>
          <Plus aria-hidden />
          {products.create}
        </Link>
      </Button>
    </>
  );
}

function Filters() {
  const { products, common } = useTexts("products");
  const search = productsRoute.useSearch();
  const navigate = useNavigate({ from: "/products" });
  const change = (patch: { [K in keyof ProductsSearch]: ProductsSearch[K] | undefined }) =>
    void navigate({ search: (previous) => defined({ ...previous, page: undefined, ...patch }), replace: true });
  return (
    <div className="grid grid-cols-2 items-end gap-3 sm:grid-cols-[minmax(0,1fr)_12rem_12rem]">
      <SearchField
        className="col-span-2 sm:col-span-1"
        label={products.search}
        value={search.search ?? ""}
        onSearch={(text) => change({ search: text === "" ? undefined : text })}
      />
      <Field label={common.status}>
        {(control) => (
          <Select {...control} value={search.status ?? ""} onChange={(event) => change({ status: oneOf(event.target.value, FILTERS) })}>
            <option value="">{products.filters.catalogue}</option>
            {FILTERS.map((status) => (
              <option key={status} value={status}>
                {products.filters[status]}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label={common.sort}>
        {(control) => (
          <Select {...control} value={search.sort ?? SORTS[0]} onChange={(event) => change({ sort: oneOf(event.target.value, SORTS.slice(1)) })}>
            {SORTS.map((sort) => (
              <option key={sort} value={sort}>
                {products.sorts[sort]}
              </option>
            ))}
          </Select>
        )}
      </Field>
    </div>
  );
}
