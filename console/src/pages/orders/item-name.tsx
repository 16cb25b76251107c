import { useQuery } from "@tanstack/react-query";
import { ChevronDown } from "lucide-react";
import { type KeyboardEvent, useDeferredValue, useId, useState } from "react";
import { type UseFormReturn, useWatch } from "react-hook-form";

import { cn } from "@/lib/cn";
import { useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { nextActive, type OrderValues } from "./form";
import { type Suggestion, suggestionsQuery } from "./queries";

interface ItemNameProps {
  form: UseFormReturn<OrderValues>;
  place: number;
  currency: string;
}

/** The name of an item. An owner gets products of the catalogue offered; others, whom the API refuses them, write the name. */
export function ItemName({ form, place, currency }: ItemNameProps) {
  const { orders } = useTexts("orders");
  const isOwner = useIsOwner();
  const error = form.formState.errors.items?.[place]?.name?.message;
  if (isOwner) return <ProductPicker form={form} place={place} currency={currency} error={error} />;
  return (
    <Field className="col-span-2 md:col-span-1" label={orders.name} error={error}>
      {(control) => <Input {...control} dir="auto" maxLength={200} autoComplete="off" {...form.register(`items.${place}.name`)} />}
    </Field>
  );
}

/** A text field with a list of products below it. A chosen product brings its price; any other name may be written. */
function ProductPicker({ form, place, currency, error }: ItemNameProps & { error: string | undefined }) {
  const { orders } = useTexts("orders");
  const listId = useId();
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const item = useWatch({ control: form.control, name: `items.${place}` });
  const [chosen, setChosen] = useState<Suggestion | null>(null);
  // The list of a chosen product shows all of them: it is opened to choose another one.
  const searched = useDeferredValue(item.product_id === "" ? item.name.trim() : "");
  const found = useQuery(suggestionsQuery(searched, isOpen));
  const products = found.data ?? [];

  const take = (product: Suggestion | undefined) => {
    setChosen(product ?? null);
    form.setValue(`items.${place}.product_id`, product?.id ?? "");
    if (product?.currency === currency) {
      form.setValue(`items.${place}.unit_price`, product.price, { shouldDirty: true, shouldValidate: form.formState.isSubmitted });
    }
  };
  const close = () => {
    setOpen(false);
    setActive(-1);
  };
  const choose = (product: Suggestion) => {
    form.setValue(`items.${place}.name`, product.name, { shouldDirty: true, shouldValidate: form.formState.isSubmitted });
    take(product);
    close();
  };
  const { onBlur, onChange, ...register } = form.register(`items.${place}.name`);
  const onKeyDown = (event: KeyboardEvent) => {
    const marked = products[active];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      setActive(nextActive(active, event.key === "ArrowDown" ? 1 : -1, isOpen ? products.length : 0));
    } else if (event.key === "Enter" && isOpen && marked !== undefined) {
      // Else Enter would send the form.
      event.preventDefault();
      choose(marked);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      close();
    }
  };

  const isForeign = chosen !== null && chosen.currency !== currency;
  const hint = item.product_id === "" ? undefined : isForeign ? orders.catalogueCurrency(chosen.currency) : orders.fromCatalogue;
  const hasList = isOpen && products.length > 0;
  return (
    <Field className="col-span-2 md:col-span-1" label={orders.name} error={error} hint={hint}>
      {(control) => (
        <div className="relative">
          <Input
            {...control}
            {...register}
            role="combobox"
            aria-expanded={hasList}
            aria-controls={hasList ? listId : undefined}
            aria-autocomplete="list"
            aria-activedescendant={hasList && products[active] !== undefined ? `${listId}-${active}` : undefined}
            dir="auto"
            maxLength={200}
            autoComplete="off"
            className="pr-9"
            placeholder={orders.namePlaceholder}
            onClick={() => setOpen(true)}
            onChange={(event) => {
              void onChange(event);
              take(products.find(({ name }) => name === event.target.value));
              setOpen(true);
              setActive(-1);
            }}
            onBlur={(event) => {
              void onBlur(event);
              close();
            }}
            onKeyDown={onKeyDown}
          />
          <ChevronDown aria-hidden className="pointer-events-none absolute top-2.5 right-3 size-4 text-muted-foreground" />
          {isOpen && (
            <ProductList id={listId} products={products} active={active} isLoaded={found.isSuccess} isSearch={searched !== ""} onChoose={choose} />
          )}
        </div>
      )}
    </Field>
  );
}

interface ProductListProps {
  id: string;
  products: readonly Suggestion[];
  active: number;
  isLoaded: boolean;
  isSearch: boolean;
  onChoose: (product: Suggestion) => void;
}

function ProductList({ id, products, active, isLoaded, isSearch, onChoose }: ProductListProps) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  return (
    // A press on the list, also on its scroll bar, leaves the focus in the text field.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div className="absolute inset-x-0 top-full z-10 mt-1 max-h-64 overflow-y-auto rounded-md border bg-card py-1 text-sm shadow-lg" onMouseDown={(event) => event.preventDefault()}>
      {products.length > 0 && (
        <div id={id} role="listbox" aria-label={orders.catalogue}>
          {products.map((product, at) => (
            // The text field keeps the focus and takes the keys, as of a combobox.
            // eslint-disable-next-line jsx-a11y/click-events-have-key-events
            <div
              key={product.id}
              id={`${id}-${at}`}
              role="option"
              aria-selected={at === active}
              tabIndex={-1}
              className={cn("flex cursor-pointer items-baseline justify-between gap-3 px-3 py-1.5 hover:bg-accent", at === active && "bg-accent text-accent-foreground")}
              onClick={() => onChoose(product)}
            >
              <bdi className="min-w-0 [overflow-wrap:anywhere]">{product.name}</bdi>
              <span className="shrink-0 text-muted-foreground tabular-nums">{format.money(product.price, product.currency)}</span>
            </div>
          ))}
        </div>
      )}
      {isLoaded && products.length === 0 && <p role="status" className="px-3 py-1.5 text-muted-foreground">{isSearch ? orders.noProduct : orders.noProducts}</p>}
    </div>
  );
}
